/* Every way in which something can end: one finite list, the same in code, log, SOCKS reply, status and exit code.
 * Spec: specs/outcomes.md [OUT-*]. Called by everyone.
 * OUTCOME_OK is success. Each other outcome has a name, a sentence for people and what to do next.
 * Never holds text of its own making: callers add details beside it.
 */
#ifndef TUNIC_PROTOCOL_OUTCOME_H
#define TUNIC_PROTOCOL_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

/* X(symbol, code on the wire, name, exit code, SOCKS5 reply, what happened, what to do next)
 * Codes travel sealed to the client ([OUT-2]) and never change their meaning. */
#define OUTCOMES(X) \
  X(OK, 0, "ok", 0, 0, "It worked.", "Nothing to do.") \
  /* reaching a destination */ \
  X(DONE, 1, "done", 0, 0, "The stream or request ended as it should.", "Nothing to do.") \
  X(NO_ROUTE, 2, "no-route", 20, 3, "The destination's network can't be reached from the exit.", "Check the address, or try another exit.") \
  X(HOST_UNREACHABLE, 3, "host-unreachable", 21, 4, "The destination's host can't be reached from the exit.", "Check that the host is up, or try another exit.") \
  X(CONNECTION_REFUSED, 4, "connection-refused", 22, 5, "The destination refused the connection.", "Check the port, and that a server listens there.") \
  X(CONNECTION_RESET, 5, "connection-reset", 23, 1, "The other side cut the connection.", "Try again; if it repeats, ask who runs the other side.") \
  X(CONNECT_TIMEOUT, 6, "connect-timeout", 24, 6, "The destination didn't answer in time; a firewall may block the port.", "Try again later, or another port.") \
  X(NAME_NOT_FOUND, 7, "name-not-found", 25, 4, "The name has no address.", "Check its spelling.") \
  X(NAME_LOOKUP_FAILED, 8, "name-lookup-failed", 26, 1, "The exit could not look the name up just now.", "Try again.") \
  X(REFUSED_BY_POLICY, 9, "refused-by-policy", 27, 2, "The exit's policy doesn't allow this destination.", "Use a port that some exit allows.") \
  X(NO_EXIT_FOR_PORT, 10, "no-exit-for-port", 28, 2, "No relay in the consensus is an exit for this port.", "Use another port, or run an exit that allows it.") \
  /* circuits and links */ \
  X(LINK_FAILED, 11, "link-failed", 30, 1, "A relay on the path can't be reached.", "Nothing: another path is tried by itself.") \
  X(HANDSHAKE_FAILED, 12, "handshake-failed", 31, 1, "A handshake failed: the other side does not hold the key it should.", "Fetch the newest consensus; if it repeats, report it.") \
  X(UNKNOWN_RELAY, 13, "unknown-relay", 32, 1, "A relay that was named is not in the consensus.", "Wait for the next consensus.") \
  X(CIRCUIT_TIMEOUT, 14, "circuit-timeout", 33, 6, "Building the circuit took too long.", "Nothing: another path is tried by itself.") \
  X(CIRCUIT_CLOSED, 15, "circuit-closed", 34, 1, "The circuit was closed under the stream.", "Try again.") \
  X(LAYER_FORGED, 16, "layer-forged", 35, 1, "A cell was changed on its way, or sent out of order.", "Nothing: another path is used. If it repeats, a relay is attacking.") \
  X(PROTOCOL_VIOLATION, 17, "protocol-violation", 36, 1, "The other side broke a rule of the protocol.", "If it repeats, report it with the log.") \
  X(TOO_BUSY, 18, "too-busy", 37, 1, "A relay or authority has no room or time for this now.", "Nothing: it is tried again, or another way, by itself.") \
  X(MEMORY_LIMIT, 19, "memory-limit", 38, 1, "The memory limit was reached, and this was what had waited longest.", "Read faster, or raise the memory limit.") \
  X(TIMED_OUT, 20, "timed-out", 39, 6, "Nothing was heard for too long.", "Try again.") \
  X(SHUTTING_DOWN, 21, "shutting-down", 40, 1, "The node is stopping.", "Wait for it to come back, or use another.") \
  X(NOT_ALLOWED_HERE, 22, "not-allowed-here", 41, 2, "This was asked of a relay at a place where it isn't allowed.", "Use three-hop circuits.") \
  X(LIMIT_REACHED, 23, "limit-reached", 42, 1, "A limit on how many was reached.", "Close some, or raise the limit.") \
  X(CONGESTED, 24, "congested", 43, 1, "What was sent is not being taken.", "Wait, or send less at a time.") \
  /* getting ready */ \
  X(NO_CONSENSUS, 30, "no-consensus", 50, 1, "There is no consensus yet.", "Nothing: it is being fetched. Check that an authority can be reached.") \
  X(CONSENSUS_EXPIRED, 31, "consensus-expired", 51, 1, "The newest consensus is past its valid-until date.", "Check this machine's clock and that authorities can be reached.") \
  X(TOO_FEW_SIGNATURES, 32, "too-few-signatures", 52, 1, "A document has too few valid signatures of the authorities.", "Ask who made it. If it was fetched, another source is tried by itself.") \
  X(CLOCK_WRONG, 33, "clock-wrong", 53, 1, "This machine's clock is off.", "Set the clock.") \
  X(DIRECTORY_SPLIT, 34, "directory-split", 54, 1, "Two valid consensuses of one epoch, or two network files of one serial, exist: the directory was attacked.", "Stop, and tell the network's people; both were kept as evidence.") \
  X(DIRECTORY_UNREACHABLE, 35, "directory-unreachable", 55, 1, "No authority or mirror can be reached.", "Check the network file's addresses and this machine's connection.") \
  X(NOT_ENOUGH_RELAYS, 36, "not-enough-relays", 56, 1, "The consensus has too few relays for a path.", "Start more relays (a path needs a guard, a middle and an exit), or wait.") \
  X(NO_CIRCUIT_YET, 37, "no-circuit-yet", 57, 1, "No circuit is built yet.", "Nothing: one is being built.") \
  X(NOT_LISTED_YET, 38, "not-listed-yet", 58, 1, "The relay is not in the consensus yet.", "Nothing: the authorities test it first. Check that its port can be reached from outside.") \
  /* documents, files, settings */ \
  X(BAD_DOCUMENT, 50, "bad-document", 60, 1, "A document does not follow its grammar.", "Ask who made it. If it was fetched, another source is tried by itself.") \
  X(WRONG_NETWORK, 51, "wrong-network", 61, 1, "A document or node belongs to another network.", "Use this network's file.") \
  X(BAD_SIGNATURE, 52, "bad-signature", 62, 1, "A signature is not valid.", "Ask who made it. If it was fetched, another source is tried by itself.") \
  X(TOO_LARGE, 53, "too-large", 63, 1, "Something is larger than its limit.", "Make it smaller.") \
  X(NOT_FOUND, 54, "not-found", 64, 1, "What was asked for is not here.", "Check its name.") \
  X(STALE, 55, "stale", 65, 1, "Something newer is already known.", "Nothing to do.") \
  X(BAD_SETTING, 56, "bad-setting", 66, 1, "A setting or argument can't be used.", "Correct it as the message says.") \
  X(FILE_FAILED, 57, "file-failed", 67, 1, "A file can't be read or written.", "Check the path, its owner and the free space.") \
  X(PORT_TAKEN, 58, "port-taken", 68, 1, "Another program listens on the address and port.", "Stop it, or choose another port.") \
  X(NO_MEMORY, 59, "no-memory", 69, 1, "The system gave no memory.", "Free some, or lower the memory limit.") \
  X(SYSTEM_FAILED, 60, "system-failed", 70, 1, "The operating system refused something.", "See the message beside this.") \
  X(ALREADY_RUNNING, 61, "already-running", 71, 1, "It is running already.", "Stop it first, or use another folder.") \
  X(NOT_RUNNING, 62, "not-running", 72, 1, "It is not running.", "Start it first.")

enum outcome {
#define X(symbol, code, name, exit_code, socks, text, next) OUTCOME_##symbol = code,
  OUTCOMES(X)
#undef X
};

const char *outcome_name(enum outcome);
/* A sentence: what happened. */
const char *outcome_text(enum outcome);
/* A sentence: what the person can do next. */
const char *outcome_advice(enum outcome);
int outcome_exit_code(enum outcome);
uint8_t outcome_socks_reply(enum outcome);
/* [OUT-2] From the wire: false if no outcome has this code. */
bool outcome_from_code(uint8_t code, enum outcome *ret);
/* [OUT-8] What a hop can know of a circuit or a destination. All else is about who hears it. */
bool outcome_is_of_hop(enum outcome);
bool outcome_from_name(const char *name, enum outcome *ret);

#endif
