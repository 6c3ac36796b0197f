# Tunic. On a fresh machine: `make demo` shows a whole network, `make test` checks everything.
#
#   make            the four programs, in build/
#   make test       unit tests, vectors, simulated networks, programs on loopback, lint
#   make demo       a network on this machine that carries real traffic (ONCE=1: ends after the transfer)
#   make sim SEED=n one simulated network from its seed
#   make sim-days   networks of 300 relays through days of liars, crashes and floods: half an hour (specs/simulator.md)
#   make bench      costs, one `name value` a line; make bench-growth: how they grow, drawn
#                   make bench-peers, make bench-wan: beside tor
#   make lint       layers, sizes, banned calls, rules of specs/; a part of `make test`
#   make fuzz-NAME  tests/fuzz/NAME.c under libFuzzer for SECONDS=30
#   make V=1        every command in full
#   make SANITIZE=1 everything with AddressSanitizer and UndefinedBehaviorSanitizer, in build-sanitize/

CC ?= cc
V ?=
Q := $(if $(V),,@)
SANITIZE ?=
LIBCRYPTO ?= $(shell pkg-config --exists libcrypto 2>/dev/null && echo 1)
# ipsec-mb speeds AES-256-GCM up where the machine is an x86-64 and has the package.
IPSEC_MB ?= $(shell test -f /usr/include/intel-ipsec-mb.h && echo 1)
BUILD ?= $(if $(SANITIZE),build-sanitize,build)

FOLDERS := crypto protocol directory relay client io network
MAINS := $(foreach f,directory relay client network,$(f)/main.c)
SOURCES := $(sort $(wildcard $(addsuffix /*.c,$(FOLDERS))))
LIBRARY_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(MAINS),$(SOURCES)))
LIBRARY := $(BUILD)/libtunic.a
PROGRAMS := $(addprefix $(BUILD)/,tunic tunic-relay tunic-directory tunic-network)

PACKAGES := libsodium libevent libevent_pthreads libzstd inih jansson $(if $(LIBCRYPTO),libcrypto)
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
            -Wpointer-arith -Wcast-align -Wwrite-strings -Wswitch-enum -Wformat=2 -Wconversion -Wno-sign-conversion
CFLAGS ?= -O2 -g
# GCC makes one string instruction of a cell's copy, which is slow where the bytes are not aligned: 11 % of a relay's time, 8 % with the C library's.
COPIES := $(shell $(CC) -mstringop-strategy=libcall -x c -c -o /dev/null /dev/null 2>/dev/null && echo -mstringop-strategy=libcall)
HARDENING := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
ifneq ($(SANITIZE),)
  CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
  HARDENING := -fPIE
  LDFLAGS += -fsanitize=address,undefined
endif
ALL_CFLAGS = -std=c17 $(COPIES) $(WARNINGS) $(CFLAGS) $(HARDENING) -I. $(if $(LIBCRYPTO),-DTUNIC_LIBCRYPTO=1,-DTUNIC_LIBCRYPTO=0) \
             $(if $(IPSEC_MB),-DTUNIC_IPSEC_MB=1,-DTUNIC_IPSEC_MB=0) \
             $(shell pkg-config --cflags $(PACKAGES)) -MMD -MP
LIBS = $(shell pkg-config --libs $(PACKAGES)) $(if $(IPSEC_MB),-lIPSec_MB) -lm -lpthread
GNU_FOLDERS := io network
comma := ,

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all packages clean

all: packages
	@$(MAKE) --no-print-directory $(if $(Q),--silent) $(PROGRAMS)

# What a fresh Debian 12 machine lacks is installed, and named.
packages:
	@sh tests/system/packages.sh

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(Q),@echo '  cc $<')
	$(Q)$(CC) $(ALL_CFLAGS) $(if $(filter $(GNU_FOLDERS),$(firstword $(subst /, ,$(<:tests/unit/%=%)))),-D_GNU_SOURCE) -c -o $@ $<

# `make -j2 all build/tests/unit-relay`: one after the other, or two would build the library at once. `all` itself stays parallel.
ifneq ($(filter all,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

$(LIBRARY): $(LIBRARY_OBJECTS)
	@mkdir -p $(@D) && rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/tunic: $(BUILD)/client/main.o $(LIBRARY)
$(BUILD)/tunic-relay: $(BUILD)/relay/main.o $(LIBRARY)
$(BUILD)/tunic-directory: $(BUILD)/directory/main.o $(LIBRARY)
$(BUILD)/tunic-network: $(BUILD)/network/main.o $(LIBRARY)
$(PROGRAMS):
	$(if $(Q),@echo '  ld $@')
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pie -o $@ $^ $(LIBS)

# Unit tests: one program per folder; `make unit-protocol` builds and runs one.
# Some make chosen allocations fail (tests/unit/protocol/failing_allocator.h).
FAILING_LDFLAGS := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=free,--wrap=sodium_malloc,--wrap=sodium_free
FAILING_SOURCES := $(addprefix tests/unit/protocol/,every_allocation.c failing_allocator.c)
$(foreach f,client directory io protocol relay,$(eval unit-$(f)_LDFLAGS := $(FAILING_LDFLAGS)))
UNIT_FOLDERS := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard tests/unit/*/*.c)))))
# Tests of several nodes at once run them in the simulator.
UNIT_client_SOURCES := $(addprefix tests/sim/,apps.c sim.c sim_queue.c sim_turn.c sim_wire.c) $(FAILING_SOURCES)
UNIT_directory_SOURCES := tests/liars/words.c $(FAILING_SOURCES)
UNIT_io_SOURCES := $(FAILING_SOURCES)
UNIT_relay_SOURCES := tests/unit/client/sample_relays.c $(FAILING_SOURCES)
define unit_program
$(BUILD)/tests/unit-$(1): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/$(1)/*.c) $(UNIT_$(1)_SOURCES)) $(LIBRARY)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) $$(unit-$(1)_LDFLAGS) -o $$@ $$^ $$(LIBS) -lcriterion
.PHONY: unit-$(1)
unit-$(1): $(BUILD)/tests/unit-$(1)
	$$<
endef
$(foreach f,$(UNIT_FOLDERS),$(eval $(call unit_program,$(f))))

# Fuzz targets: tests/fuzz/NAME.c defines LLVMFuzzerTestOneInput. `make test` replays tests/fuzz/corpus/NAME and
# mutations of it with gcc's sanitizers; `make fuzz-NAME` searches with clang's libFuzzer.
SECONDS ?= 30
FUZZ_NAMES := $(sort $(filter-out standalone,$(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))))
FUZZ_PROGRAMS := $(addprefix $(BUILD)/tests/fuzz-,$(FUZZ_NAMES))
ifneq ($(LIBFUZZER),)
  CFLAGS += -fsanitize=fuzzer-no-link
endif

# A target that needs more than the library names it here.
CLIENT_HARNESS := $(addprefix $(BUILD)/tests/unit/client/,hostile_path.o sample_relays.o)
$(BUILD)/tests/fuzz-client_circuit $(BUILD)/tests/libfuzzer-client_circuit: $(CLIENT_HARNESS)

$(FUZZ_PROGRAMS): $(BUILD)/tests/fuzz-%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/standalone.o $(LIBRARY)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIBRARY) $(LIBS)

$(BUILD)/tests/libfuzzer-%: $(BUILD)/tests/fuzz/%.o $(LIBRARY)
	$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(LIBRARY) $(LIBS)

fuzz-%:
	@echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | clang -fsanitize=fuzzer -x c -o /dev/null - 2>/dev/null || \
	  { echo 'libFuzzer is missing: apt-get install clang libclang-rt-14-dev' >&2; exit 1; }
	@$(MAKE) --no-print-directory CC=clang SANITIZE=1 LIBFUZZER=1 WARNINGS= BUILD=build-fuzz build-fuzz/tests/libfuzzer-$*
	@mkdir -p build-fuzz/corpus/$*
	build-fuzz/tests/libfuzzer-$* -max_total_time=$(SECONDS) -max_len=4096 -artifact_prefix=build-fuzz/$*- \
	  build-fuzz/corpus/$* $(wildcard tests/fuzz/corpus/$*)

# One script for both drivers: io/driver on loopback and the simulator.
CONFORMANCE_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/sim/conformance*.c) $(addprefix tests/sim/,sim.c sim_queue.c sim_turn.c sim_wire.c))
$(BUILD)/tests/sim/conformance_loopback.o: ALL_CFLAGS += -D_GNU_SOURCE
$(BUILD)/tests/conformance: $(CONFORMANCE_OBJECTS) $(LIBRARY)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
TEST_PROGRAMS += $(BUILD)/tests/conformance
SANITIZED_TESTS += conformance
# Simulated networks: scenarios, and one from its seed: make sim SEED=7
SIM_OBJECTS := $(patsubst %,$(BUILD)/tests/sim/%.o,apps network sim sim_queue sim_turn sim_wire)
SCENARIO_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/sim/scenarios_days%,$(wildcard tests/sim/scenario*.c) tests/sim/directory_watch.c tests/sim/flooder.c))
SEED ?= 1
.PHONY: sim
sim: $(BUILD)/tests/sim/run
	$(BUILD)/tests/sim/run $(SEED)
$(BUILD)/tests/sim/run: $(BUILD)/tests/sim/run.o $(SIM_OBJECTS) $(LIBRARY)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/tests/sim/scenario.o: ALL_CFLAGS += -D_GNU_SOURCE
$(BUILD)/tests/scenarios: $(SCENARIO_OBJECTS) $(SIM_OBJECTS) $(LIBRARY)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
TEST_PROGRAMS += $(BUILD)/tests/scenarios
# Networks of full size for days: key agreement that costs nothing, authorities that lie.
DAYS_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/sim/scenarios_days*.c) $(addprefix tests/sim/,cheap_keys.c days.c directory_watch.c liar.c liar_ear.c scenario.c shared_consensus.c) \
                $(addprefix tests/,liars/authority.c liars/words.c unit/directory/agreement_witness.c))
DAYS_WRAPPED := x25519_public x25519_shared mlkem768_keypair mlkem768_encapsulate mlkem768_decapsulate \
                network_chain_consensus consensus_diff_apply peers_send agreement_receive
$(BUILD)/tests/days: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(DAYS_WRAPPED))
$(BUILD)/tests/days: $(DAYS_OBJECTS) $(SIM_OBJECTS) $(LIBRARY)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
TEST_PROGRAMS += $(BUILD)/tests/days
.PHONY: sim-days
sim-days: $(BUILD)/tests/days
	$< days-4 days-7
# Whole machines whose n-th allocation fails.
$(BUILD)/tests/no_memory: LDFLAGS += $(FAILING_LDFLAGS)
$(BUILD)/tests/no_memory: $(BUILD)/tests/sim/no_memory.o $(BUILD)/tests/unit/protocol/failing_allocator.o $(SIM_OBJECTS) $(LIBRARY)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
SANITIZED_TESTS += no_memory

# Everything that is checked. To register more, above this block:
#   TEST_PROGRAMS  += $(BUILD)/tests/NAME  says `N passed, N failed` last; two run side by side
#   TEST_SCRIPTS   += tests/NAME           exit status 0 is a pass; each has the machine for itself
#   TEST_NEEDS     += $(PROGRAMS)          what the scripts want built
#   SANITIZED_TESTS += NAME                $(BUILD)/tests/NAME once more, with sanitizers
TEST_SCRIPTS += tests/run_test.py tests/fuzz/standalone_test.py tests/system/network_test.py tests/system/refusals_test.py tests/system/serials_test.py
TEST_NEEDS += $(PROGRAMS) $(BUILD)/tests/web-server

# Authorities as processes: a network that lives fast, and an authority that lies.
$(BUILD)/tests/quick-network: $(BUILD)/tests/system/quick_network.o $(LIBRARY)
$(BUILD)/tests/lying-directory: $(addprefix $(BUILD)/,tests/system/lying_directory.o tests/liars/authority.o tests/liars/words.o directory/main.o) $(LIBRARY)
$(BUILD)/tests/lying-directory: LDFLAGS += -Wl,--wrap=peers_send
$(BUILD)/tests/quick-network $(BUILD)/tests/lying-directory:
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
TEST_SCRIPTS += tests/system/authorities.py
TEST_NEEDS += $(BUILD)/tests/quick-network $(BUILD)/tests/lying-directory
UNIT_TESTS := $(addprefix unit-,$(UNIT_FOLDERS))
SANITIZED_TESTS += $(UNIT_TESTS) $(addprefix fuzz-,$(FUZZ_NAMES))
LINT := tests/lint/lint_test.py tests/lint/lint.py

.PHONY: test test-programs sanitized-programs lint
test-programs: $(LIBRARY) $(addprefix $(BUILD)/tests/,$(UNIT_TESTS)) $(TEST_PROGRAMS) $(TEST_NEEDS)
sanitized-programs: $(addprefix $(BUILD)/tests/,$(SANITIZED_TESTS))

test:
	@sh tests/system/packages.sh || { echo '0 passed, 1 failed'; exit 1; }
	@tests/run.py --build 'test-programs -j2' 'sanitized-programs -j2 SANITIZE=1 BUILD=build-sanitize' \
	  --programs $(addprefix $(BUILD)/tests/,$(UNIT_TESTS)) $(TEST_PROGRAMS) $(addprefix build-sanitize/tests/,$(SANITIZED_TESTS)) \
	  --checks $(LINT) --scripts $(TEST_SCRIPTS)

lint:
	@for script in $(LINT); do $$script || exit 1; done

# The model of the authorities' agreement, checked in full, and its mutants, each caught. Needs spin.
.PHONY: model
model:
	@sh tests/model/run.sh $(BUILD)/model

clean:
	rm -rf build build-sanitize build-fuzz

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# A network on this machine: RELAYS=9 make demo.
.PHONY: demo
WEB_SERVER := $(BUILD)/tests/web-server
$(WEB_SERVER): tests/system/web_server.c
	@mkdir -p $(@D)
	$(if $(Q),@echo '  cc $<')
	$(Q)$(CC) -std=c17 $(WARNINGS) $(CFLAGS) $(HARDENING) $(LDFLAGS) -o $@ $< -lpthread

demo: all $(WEB_SERVER)
	@ONCE=$(ONCE) tests/system/demo.sh $(BUILD)

# The known answers of our own formats, once more from the second implementation (specs/crypto.md).
.PHONY: vectors
vectors:
	@mkdir -p $(BUILD)
	python3 -B tests/vectors/reference.py >$(BUILD)/tunic.json
	diff tests/vectors/tunic.json $(BUILD)/tunic.json

# Post-quantum checks: not part of `make test`, because one needs npm and the network, the other valgrind.
.PHONY: kem-peer constant-time
$(BUILD)/tests/mlkem-peer: tests/vectors/mlkem_peer.c $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(LIBRARY) $(LIBS)
kem-peer: $(BUILD)/tests/mlkem-peer
	tests/vectors/mlkem_peer.sh $(BUILD) $<

# The shipped code and flags, except that the values a standard publishes are named to valgrind (crypto/declassify.h).
$(BUILD)/tests/constant-time: tests/vectors/constant_time.c $(wildcard crypto/*.c crypto/*.h)
	@command -v valgrind >/dev/null || { echo "This check needs the package valgrind: apt-get install valgrind" >&2; exit 1; }
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -DTUNIC_CHECK_CONSTANT_TIME=1 $(LDFLAGS) -o $@ $(filter %.c,$^) $(LIBS)
constant-time: $(BUILD)/tests/constant-time
	tests/vectors/constant_time.sh $<

# Costs. `make bench` prints `name value` lines in under a minute; bench-growth draws how they grow, to 100,000 circuits;
# the other two compare (specs/performance.md). These three write to specs/measured/. bench-wan needs root: it makes network namespaces.
.PHONY: bench bench-growth bench-peers bench-wan
BENCHES := $(addprefix $(BUILD)/tests/bench/,$(sort $(filter-out forwarder wan peer,$(patsubst tests/bench/%.c,%,$(wildcard tests/bench/*.c)))))
$(BUILD)/tests/bench/consensus.o $(BUILD)/tests/bench/exit.o $(BUILD)/tests/bench/growth.o $(BUILD)/tests/bench/idle.o: ALL_CFLAGS += -D_GNU_SOURCE
$(BUILD)/tests/bench/idle $(BUILD)/tests/bench/exit: $(BUILD)/tests/bench/peer.o
$(BUILD)/tests/bench/cells: $(SIM_OBJECTS)
$(BENCHES): $(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(LIBRARY)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pie -o $@ $(filter %.o,$^) $(LIBRARY) $(LIBS)
$(BUILD)/tests/forwarder $(BUILD)/tests/wan: $(BUILD)/tests/%: $(BUILD)/tests/bench/%.o
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pie -o $@ $<
bench:
	@$(MAKE) --no-print-directory -j2 all >&2
	@$(MAKE) --no-print-directory -j2 $(BENCHES) $(WEB_SERVER) >&2
	@for bench in $(BENCHES); do $$bench || exit 1; done
	@BUILD=$(BUILD) tests/bench/shards.py
	@BUILD=$(BUILD) tests/bench/network.py
bench-growth:
	@$(MAKE) --no-print-directory -j2 all >&2
	@$(MAKE) --no-print-directory -j2 $(BENCHES) >&2
	@BUILD=$(BUILD) tests/bench/growth.py specs/measured
bench-peers:
	@$(MAKE) --no-print-directory -j2 all $(BUILD)/tests/forwarder $(BUILD)/tests/bench/aead $(WEB_SERVER) >&2
	@BUILD=$(BUILD) tests/bench/peers.py --write specs/measured/peers.md
bench-wan:
	@$(MAKE) --no-print-directory -j2 all $(BUILD)/tests/wan $(WEB_SERVER) >&2
	@BUILD=$(BUILD) tests/bench/wan.py --write specs/measured/wan.md
