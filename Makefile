# Tunic. On a fresh machine: `make demo` shows a whole network, `make test` checks everything.
#
#   make            the four programs, in build/
#   make test       unit tests, vectors, simulated networks, programs on loopback, lint
#   make demo       a network on this machine that carries real traffic (ONCE=1: ends after the transfer)
#   make sim SEED=n one simulated network from its seed
#   make bench      costs, one `name value` a line
#   make SANITIZE=1 everything with AddressSanitizer and UndefinedBehaviorSanitizer, in build-sanitize/

CC ?= cc
SANITIZE ?=
LIBCRYPTO ?= $(shell pkg-config --exists libcrypto 2>/dev/null && echo 1)
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
HARDENING := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
ifneq ($(SANITIZE),)
  CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
  HARDENING := -fPIE
  LDFLAGS += -fsanitize=address,undefined
endif
ALL_CFLAGS = -std=c17 $(WARNINGS) $(CFLAGS) $(HARDENING) -I. $(if $(LIBCRYPTO),-DTUNIC_LIBCRYPTO=1,-DTUNIC_LIBCRYPTO=0) \
             $(shell pkg-config --cflags $(PACKAGES)) -MMD -MP
LIBS = $(shell pkg-config --libs $(PACKAGES)) -lm -lpthread
GNU_FOLDERS := io network

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all packages clean

all: packages
	@$(MAKE) --no-print-directory $(PROGRAMS)

# What a fresh Debian 12 machine lacks is installed, and named.
packages:
	@sh tests/system/packages.sh

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(if $(filter $(GNU_FOLDERS),$(firstword $(subst /, ,$<))),-D_GNU_SOURCE) -c -o $@ $<

$(LIBRARY): $(LIBRARY_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/tunic: $(BUILD)/client/main.o $(LIBRARY)
$(BUILD)/tunic-relay: $(BUILD)/relay/main.o $(LIBRARY)
$(BUILD)/tunic-directory: $(BUILD)/directory/main.o $(LIBRARY)
$(BUILD)/tunic-network: $(BUILD)/network/main.o $(LIBRARY)
$(PROGRAMS):
	$(CC) $(CFLAGS) $(LDFLAGS) -pie -o $@ $^ $(LIBS)

# Unit tests: one program per folder; `make unit-protocol` builds and runs one.
# protocol's tests make chosen allocations fail (tests/unit/protocol/failing_allocator.h).
unit-protocol_LDFLAGS := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=free
UNIT_FOLDERS := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard tests/unit/*/*.c)))))
define unit_program
$(BUILD)/tests/unit-$(1): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/$(1)/*.c)) $(LIBRARY)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) $$(unit-$(1)_LDFLAGS) -o $$@ $$^ $$(LIBS) -lcriterion
.PHONY: unit-$(1)
unit-$(1): $(BUILD)/tests/unit-$(1)
	$$<
endef
$(foreach f,$(UNIT_FOLDERS),$(eval $(call unit_program,$(f))))

clean:
	rm -rf build build-sanitize

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
