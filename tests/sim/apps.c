#include "tests/sim/apps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/effect_queue.h"

uint8_t web_byte(uint64_t offset) {
  return (uint8_t)((offset * 2654435761u) >> 13 ^ offset);
}

/* ---- what both have: connections, effects, a ready list ---- */

struct app_connection {
  struct id id;
  struct list_node ready;
  struct fetch_result result;
  char user[64], host[64];
  uint16_t port;
  bool early, open, asked, eof;
  uint64_t limit, to_send; /* bytes still to send: a web server's answer, an upload */
  uint64_t upload, stall;  /* bytes of the upload, and after how many the web server takes no more; 0: none, never */
  uint64_t uploaded;       /* web: bytes that came */
  uint8_t out[512];
  size_t out_len;
  uint8_t in[512];
  size_t in_len;
  int stage;
};

struct app {
  struct id_table connections;
  struct effect_queue effects;
  struct list ready;
};

static void app_init(struct app *app) {
  id_table_init(&app->connections, sizeof(struct app_connection), 4096);
  list_init(&app->ready);
}

static void app_wipe(struct app *app) {
  id_table_wipe(&app->connections);
  effect_queue_wipe(&app->effects);
}

static void app_ready(struct app *app, struct app_connection *c) {
  if (!list_contains_node(&c->ready)) list_append(&app->ready, &c->ready);
}

static void app_effect(struct app *app, enum effect_kind kind, struct id id) {
  struct effect effect = {.kind = kind, .id = id};
  if (!effect_queue_put(&app->effects, &effect)) abort();
}

static bool app_next_ready(void *self, struct id *ret) {
  struct app *app = self;
  struct list_node *node = list_take_first(&app->ready);
  if (node == NULL) return false;
  *ret = LIST_OBJECT(node, struct app_connection, ready)->id;
  return true;
}

static bool app_next_effect(void *self, struct effect *ret) {
  return effect_queue_take(&((struct app *)self)->effects, ret);
}

static instant app_deadline(const void *self) {
  (void)self;
  return INSTANT_NEVER;
}

static void app_tick(void *self, instant now) {
  (void)self;
  (void)now;
}

static bool app_work(void *self, instant now) {
  (void)self;
  (void)now;
  return false;
}

static void app_close(struct app *app, struct app_connection *c, enum effect_kind how) {
  struct id id = c->id;
  list_leave(&c->ready);
  app_effect(app, how, id);
}

/* ---- the web server ---- */

struct web { struct app app; };

static struct id web_accept(void *self, instant now, enum connection_kind kind, const struct address *peer) {
  struct web *web = self;
  struct id id = ID_NONE;
  (void)now;
  (void)kind;
  (void)peer;
  struct app_connection *c = id_table_add(&web->app.connections, &id);
  if (c != NULL) c->id = id;
  return id;
}

static size_t web_room(const void *self, struct id id) {
  const struct web *web = self;
  const struct app_connection *c = id_table_get(&web->app.connections, id);
  if (c == NULL) return 0;
  if (!c->asked || c->upload == 0) return sizeof c->in - c->in_len;
  return c->stall > 0 && c->uploaded >= c->stall ? 0 : 64 * 1024;
}

/* One byte answers an upload that came whole; what came wrong is never answered. */
static void web_take_upload(struct web *web, struct app_connection *c, const uint8_t *in, size_t len) {
  for (size_t i = 0; i < len; i++) c->result.wrong_bytes |= in[i] != web_byte(c->uploaded + i);
  c->uploaded += len;
  if (c->uploaded != c->upload || c->result.wrong_bytes) return;
  c->result.want = c->to_send = 1;
  app_ready(&web->app, c);
}

static void web_take_request(struct web *web, struct app_connection *c, char *request) {
  c->asked = true;
  if (strncmp(request, "PUT", 3) == 0) {
    char *end;
    c->upload = strtoull(request + 5, &end, 10);
    c->stall = strtoull(end + 1, NULL, 10);
    return;
  }
  c->result.want = c->to_send = strtoull(request + 5, NULL, 10);
  app_ready(&web->app, c);
}

static enum outcome web_receive(void *self, instant now, struct id id, uint8_t *in, size_t len, size_t *ret_used) {
  struct web *web = self;
  struct app_connection *c = id_table_get(&web->app.connections, id);
  (void)now;
  *ret_used = len;
  if (c == NULL) return OUTCOME_NOT_FOUND;
  if (c->asked && c->upload > 0) {
    web_take_upload(web, c, in, len);
    return OUTCOME_OK;
  }
  memcpy(c->in + c->in_len, in, len);
  c->in_len += len;
  uint8_t *end = memchr(c->in, '\n', c->in_len);
  if (end == NULL || c->asked) return OUTCOME_OK;
  *end = 0;
  web_take_request(web, c, (char *)c->in);
  if (c->upload > 0) web_take_upload(web, c, end + 1, (size_t)(c->in + c->in_len - end - 1));
  return OUTCOME_OK;
}

static size_t web_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  struct web *web = self;
  struct app_connection *c = id_table_get(&web->app.connections, id);
  (void)now;
  if (c == NULL) return 0;
  size_t len = c->to_send < room ? (size_t)c->to_send : room;
  uint64_t at = c->result.want - c->to_send;
  for (size_t i = 0; i < len; i++) out[i] = web_byte(at + i);
  c->to_send -= len;
  if (len > 0 && c->to_send == 0) app_effect(&web->app, EFFECT_FINISH, id);
  return len;
}

static void web_event(void *self, instant now, const struct event *event) {
  struct web *web = self;
  (void)now;
  struct app_connection *c = id_table_get(&web->app.connections, event->id);
  if (c == NULL) return;
  if (event->kind == EVENT_EOF && c->to_send > 0) return;
  if (event->kind == EVENT_EOF) app_close(&web->app, c, EFFECT_CLOSE_FLUSHED);
  if (event->kind == EVENT_EOF || event->kind == EVENT_CLOSED) {
    list_leave(&c->ready);
    id_table_remove(&web->app.connections, event->id);
  }
}

struct web *web_new(void) {
  struct web *web = calloc(1, sizeof *web);
  if (web == NULL) abort();
  app_init(&web->app);
  return web;
}

void web_free(struct web *web) {
  app_wipe(&web->app);
  free(web);
}

struct machine web_machine(struct web *web) {
  static const struct machine_verbs verbs = {.accept = web_accept,
                                             .room = web_room,
                                             .receive = web_receive,
                                             .transmit = web_transmit,
                                             .event = web_event,
                                             .next_ready = app_next_ready,
                                             .next_effect = app_next_effect,
                                             .deadline = app_deadline,
                                             .tick = app_tick,
                                             .work = app_work};
  return (struct machine){web, &verbs};
}

/* ---- the application ---- */

struct fetcher {
  struct app app;
  struct address proxy;
  struct app_connection *fetches[FETCHER_MAX];
  uint32_t count;
};

enum fetch_stage { FETCH_METHOD, FETCH_CREDENTIALS, FETCH_REPLY, FETCH_BODY };

static struct id fetcher_accept(void *self, instant now, enum connection_kind kind, const struct address *peer) {
  (void)self;
  (void)now;
  (void)kind;
  (void)peer;
  return ID_NONE;
}

static void put(struct app_connection *c, const void *bytes, size_t len) {
  memcpy(c->out + c->out_len, bytes, len);
  c->out_len += len;
}

static void put_connect(struct app_connection *c) {
  uint8_t head[5] = {5, 1, 0, 3, (uint8_t)strlen(c->host)};
  uint8_t port[2] = {(uint8_t)(c->port >> 8), (uint8_t)c->port};
  put(c, head, sizeof head);
  put(c, c->host, strlen(c->host));
  put(c, port, sizeof port);
}

static void put_request(struct app_connection *c) {
  char request[64];
  unsigned long long want = c->result.want, upload = c->upload, stall = c->stall;
  int len = c->upload > 0 ? snprintf(request, sizeof request, "PUT /%llu/%llu\n", upload, stall) : snprintf(request, sizeof request, "GET /%llu\n", want);
  put(c, request, (size_t)len);
  c->to_send = c->upload;
}

static void put_credentials(struct app_connection *c) {
  uint8_t head[2] = {1, (uint8_t)strlen(c->user)}, tail[2] = {1, 'x'};
  put(c, head, sizeof head);
  put(c, c->user, strlen(c->user));
  put(c, tail, sizeof tail);
}

uint32_t fetcher_begin(struct fetcher *fetcher, instant now, const char *user, const char *host, uint16_t port, uint64_t bytes,
                       bool early, uint64_t limit) {
  struct id id;
  struct app_connection *c = id_table_add(&fetcher->app.connections, &id);
  if (c == NULL || fetcher->count == FETCHER_MAX) abort();
  c->id = id;
  c->port = port;
  c->early = early;
  c->limit = limit;
  c->result.want = bytes;
  c->result.started = true;
  c->result.began = now;
  snprintf(c->host, sizeof c->host, "%s", host);
  snprintf(c->user, sizeof c->user, "%s", user == NULL ? "" : user);
  uint8_t methods[3] = {5, 1, user == NULL ? 0 : 2};
  put(c, methods, sizeof methods);
  struct effect effect = {.kind = EFFECT_CONNECT, .id = id, .connection = CONNECTION_SOCKS, .address = fetcher->proxy};
  if (!effect_queue_put(&fetcher->app.effects, &effect)) abort();
  fetcher->fetches[fetcher->count] = c;
  return fetcher->count++;
}

uint32_t fetcher_upload(struct fetcher *fetcher, instant now, const char *user, const char *host, uint16_t port, uint64_t bytes, uint64_t stall) {
  uint32_t index = fetcher_begin(fetcher, now, user, host, port, 1, false, 0);
  fetcher->fetches[index]->upload = bytes;
  fetcher->fetches[index]->stall = stall;
  return index;
}

static size_t fetcher_room(const void *self, struct id id) {
  const struct fetcher *fetcher = self;
  const struct app_connection *c = id_table_get(&fetcher->app.connections, id);
  if (c == NULL) return 0;
  if (c->stage != FETCH_BODY) return sizeof c->in - c->in_len;
  return c->limit > 0 && c->result.got >= c->limit ? 0 : 64 * 1024;
}

/* Bytes of the handshake that one stage needs, at the start of `in`. */
static size_t stage_bytes(const struct app_connection *c) {
  return c->stage == FETCH_REPLY ? 10 : 2;
}

static void next_stage(struct app *app, struct app_connection *c) {
  if (c->stage == FETCH_METHOD && c->in[1] == 2) {
    put_credentials(c);
    c->stage = FETCH_CREDENTIALS;
  } else if (c->stage == FETCH_METHOD || c->stage == FETCH_CREDENTIALS) {
    put_connect(c);
    if (c->early) put_request(c);
    c->stage = FETCH_REPLY;
  } else {
    c->result.replied = true;
    c->result.socks_reply = c->in[1];
    c->result.failed = c->in[1] != 0;
    if (!c->early && !c->result.failed) put_request(c);
    c->stage = FETCH_BODY;
  }
  app_ready(app, c);
}

static void take_body(struct app_connection *c, instant now, const uint8_t *in, size_t len) {
  if (c->result.got == 0 && len > 0) c->result.first_byte = now;
  for (size_t i = 0; i < len; i++) c->result.wrong_bytes |= in[i] != web_byte(c->result.got + i);
  c->result.got += len;
}

static enum outcome fetcher_receive(void *self, instant now, struct id id, uint8_t *in, size_t len, size_t *ret_used) {
  struct fetcher *fetcher = self;
  struct app_connection *c = id_table_get(&fetcher->app.connections, id);
  *ret_used = len;
  if (c == NULL) return OUTCOME_NOT_FOUND;
  for (size_t at = 0; at < len;) {
    if (c->stage == FETCH_BODY) {
      take_body(c, now, in + at, len - at);
      break;
    }
    c->in[c->in_len++] = in[at++];
    if (c->in_len < stage_bytes(c)) continue;
    next_stage(&fetcher->app, c);
    c->in_len = 0;
  }
  return OUTCOME_OK;
}

static size_t put_upload(struct app_connection *c, uint8_t *out, size_t room) {
  size_t len = c->to_send < room ? (size_t)c->to_send : room;
  for (size_t i = 0; i < len; i++) out[i] = web_byte(c->upload - c->to_send + i);
  c->to_send -= len;
  return len;
}

static size_t fetcher_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  struct fetcher *fetcher = self;
  struct app_connection *c = id_table_get(&fetcher->app.connections, id);
  (void)now;
  if (c == NULL) return 0;
  if (c->out_len == 0) return put_upload(c, out, room);
  size_t len = c->out_len < room ? c->out_len : room;
  memcpy(out, c->out, len);
  memmove(c->out, c->out + len, c->out_len - len);
  c->out_len -= len;
  return len;
}

static void fetcher_event(void *self, instant now, const struct event *event) {
  struct fetcher *fetcher = self;
  struct app_connection *c = id_table_get(&fetcher->app.connections, event->id);
  if (c == NULL) return;
  if (event->kind == EVENT_CONNECTED) app_ready(&fetcher->app, c);
  if (event->kind != EVENT_EOF && event->kind != EVENT_CLOSED) return;
  if (!c->result.done) c->result.ended = now;
  c->result.done = true;
  c->result.cut_short = event->kind == EVENT_EOF && c->result.replied && c->result.socks_reply == 0 && c->result.got < c->result.want;
  c->result.failed = c->result.failed || c->result.got != c->result.want || c->result.wrong_bytes;
  if (event->kind == EVENT_EOF) app_close(&fetcher->app, c, EFFECT_CLOSE);
  list_leave(&c->ready);
}

const struct fetch_result *fetcher_result(const struct fetcher *fetcher, uint32_t index) {
  return &fetcher->fetches[index]->result;
}

void fetcher_release(struct fetcher *fetcher, uint32_t index) {
  fetcher->fetches[index]->limit = 0;
  app_ready(&fetcher->app, fetcher->fetches[index]);
}

uint32_t fetcher_count(const struct fetcher *fetcher) {
  return fetcher->count;
}

bool fetcher_all_done(const struct fetcher *fetcher) {
  for (uint32_t i = 0; i < fetcher->count; i++)
    if (!fetcher->fetches[i]->result.done) return false;
  return true;
}

struct fetcher *fetcher_new(struct address proxy) {
  struct fetcher *fetcher = calloc(1, sizeof *fetcher);
  if (fetcher == NULL) abort();
  fetcher->proxy = proxy;
  app_init(&fetcher->app);
  return fetcher;
}

void fetcher_free(struct fetcher *fetcher) {
  app_wipe(&fetcher->app);
  free(fetcher);
}

struct machine fetcher_machine(struct fetcher *fetcher) {
  static const struct machine_verbs verbs = {.accept = fetcher_accept,
                                             .room = fetcher_room,
                                             .receive = fetcher_receive,
                                             .transmit = fetcher_transmit,
                                             .event = fetcher_event,
                                             .next_ready = app_next_ready,
                                             .next_effect = app_next_effect,
                                             .deadline = app_deadline,
                                             .tick = app_tick,
                                             .work = app_work};
  return (struct machine){fetcher, &verbs};
}
