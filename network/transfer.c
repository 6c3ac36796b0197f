#include "network/transfer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/tcp.h"
#include "network/interrupt.h"

enum { TRANSFER_BYTES = 4096, STEP_WAIT_MS = 20000, REPLY_BYTES = 10 };

struct transfer_trial {
  int listener, proxy, peer; /* ours; to the client; what arrived at ours through the network */
  int interrupt;
  struct complaint *complaint;
};

static enum outcome fail(const struct transfer_trial *trial, enum outcome outcome, const char *what) {
  if (interrupt_came(trial->interrupt)) return OUTCOME_SHUTTING_DOWN;
  complain(trial->complaint, "A transfer through three hops failed: %s.", what);
  return outcome;
}

static bool send_all(const struct transfer_trial *trial, int fd, const uint8_t *bytes, size_t len) {
  while (len > 0) {
    ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (sent < 0 && !interrupt_wait(trial->interrupt, fd, true, STEP_WAIT_MS)) return false;
    if (sent > 0) bytes += sent, len -= (size_t)sent;
  }
  return true;
}

static bool receive_all(const struct transfer_trial *trial, int fd, uint8_t *bytes, size_t len) {
  while (len > 0) {
    if (!interrupt_wait(trial->interrupt, fd, false, STEP_WAIT_MS)) return false;
    ssize_t got = recv(fd, bytes, len, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return false;
    if (got > 0) bytes += got, len -= (size_t)got;
  }
  return true;
}

static enum outcome connect_to_proxy(struct transfer_trial *trial, const struct address *socks) {
  bool connected;
  enum outcome outcome = tcp_connect(socks, CONNECTION_SOCKS, &trial->proxy, &connected);
  if (outcome != OUTCOME_OK) {
    trial->proxy = -1;
    return fail(trial, outcome, "the client's proxy can't be reached");
  }
  if (!connected && !interrupt_wait(trial->interrupt, trial->proxy, true, STEP_WAIT_MS)) return fail(trial, OUTCOME_TIMED_OUT, "no proxy answered");
  outcome = connected ? OUTCOME_OK : tcp_connect_result(trial->proxy);
  return outcome == OUTCOME_OK ? OUTCOME_OK : fail(trial, outcome, "the client's proxy can't be reached");
}

/* The reply tells less than an outcome; the first outcome with that reply is a fair word for it. */
static enum outcome outcome_of_reply(uint8_t reply) {
  for (unsigned code = 1; code < 256; code++) {
    enum outcome outcome;
    if (outcome_from_code((uint8_t)code, &outcome) && outcome_socks_reply(outcome) == reply && outcome_exit_code(outcome) != 0) return outcome;
  }
  return OUTCOME_PROTOCOL_VIOLATION;
}

static enum outcome ask_proxy(struct transfer_trial *trial, const struct address *target) {
  static const uint8_t GREETING[] = {5, 1, 0};
  uint8_t answer[2], request[REPLY_BYTES] = {5, 1, 0, 1}, reply[REPLY_BYTES];
  memcpy(request + 4, target->bytes, 4);
  request[8] = (uint8_t)(target->port >> 8);
  request[9] = (uint8_t)target->port;
  if (!send_all(trial, trial->proxy, GREETING, sizeof GREETING) || !receive_all(trial, trial->proxy, answer, sizeof answer) ||
      answer[0] != 5 || answer[1] != 0)
    return fail(trial, OUTCOME_PROTOCOL_VIOLATION, "the proxy does not speak SOCKS5");
  if (!send_all(trial, trial->proxy, request, sizeof request) || !receive_all(trial, trial->proxy, reply, sizeof reply))
    return fail(trial, OUTCOME_TIMED_OUT, "the proxy gave no answer");
  if (reply[1] == 0) return OUTCOME_OK;
  enum outcome outcome = outcome_of_reply(reply[1]);
  return fail(trial, outcome, outcome_text(outcome));
}

/* There and back again: what the far end gets is what was sent, and the other way round. */
static enum outcome exchange_bytes(struct transfer_trial *trial, struct random_stream *random) {
  uint8_t sent[TRANSFER_BYTES], got[TRANSFER_BYTES];
  struct address from;
  random_bytes(random, sent, sizeof sent);
  if (!send_all(trial, trial->proxy, sent, sizeof sent)) return fail(trial, OUTCOME_CONNECTION_RESET, "nothing could be sent");
  if (!interrupt_wait(trial->interrupt, trial->listener, false, STEP_WAIT_MS) || (trial->peer = tcp_accept(trial->listener, &from)) < 0)
    return fail(trial, OUTCOME_TIMED_OUT, "the exit's connection did not arrive");
  if (!receive_all(trial, trial->peer, got, sizeof got) || memcmp(sent, got, sizeof sent) != 0)
    return fail(trial, OUTCOME_CONNECTION_RESET, "what was sent did not arrive as it was");
  random_bytes(random, sent, sizeof sent);
  if (!send_all(trial, trial->peer, sent, sizeof sent) || !receive_all(trial, trial->proxy, got, sizeof got) ||
      memcmp(sent, got, sizeof sent) != 0)
    return fail(trial, OUTCOME_CONNECTION_RESET, "what was sent back did not arrive as it was");
  return OUTCOME_OK;
}

static void close_if_open(int fd) {
  if (fd >= 0) close(fd);
}

enum outcome transfer_try(const struct address *socks, struct random_stream *random, int interrupt, struct complaint *complaint) {
  struct transfer_trial trial = {.listener = -1, .proxy = -1, .peer = -1, .interrupt = interrupt, .complaint = complaint};
  struct address local = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}}, bound;
  enum outcome outcome = tcp_listen(&local, CONNECTION_STREAM, &trial.listener, &bound);
  if (outcome != OUTCOME_OK) {
    trial.listener = -1;
    complain(complaint, "No port of this machine is free.");
  }
  if (outcome == OUTCOME_OK) outcome = connect_to_proxy(&trial, socks);
  if (outcome == OUTCOME_OK) outcome = ask_proxy(&trial, &bound);
  if (outcome == OUTCOME_OK) outcome = exchange_bytes(&trial, random);
  close_if_open(trial.listener);
  close_if_open(trial.proxy);
  close_if_open(trial.peer);
  return outcome;
}
