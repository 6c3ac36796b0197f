/* Asks a running node through its control socket: the other end of io/control_socket.
 * Spec: specs/outcomes.md [OUT-5]. Called by `tunic status`, `tunic-network wait` and `up`.
 * Blocks, but never beyond the deadline it is given (an instant of loop_now).
 */
#ifndef TUNIC_IO_CONTROL_CLIENT_H
#define TUNIC_IO_CONTROL_CLIENT_H

#include <jansson.h>

#include "io/complaint.h"
#include "protocol/instant.h"
#include "protocol/outcome.h"

struct control_client; /* opaque */

/* NOT_RUNNING: nobody listens in this folder. BAD_SETTING: it is a whole network's. Complaints may be NULL. */
enum outcome control_client_open(const char *folder, struct control_client **ret, struct complaint *);
/* The same, but a node that is only just being started has until then to listen. */
enum outcome control_client_await(const char *folder, instant until, struct control_client **ret, struct complaint *);
void control_client_close(struct control_client *); /* NULL is allowed */

/* Sends a request ("status", "wait", "stop" or "network") and gives the first line of the answer, which the caller decrefs.
 * TIMED_OUT, NOT_RUNNING (it ended meanwhile), or PROTOCOL_VIOLATION if the answer is none. */
enum outcome control_client_ask(struct control_client *, const char *request, instant deadline, json_t **ret, struct complaint *);
/* The next line, after "wait". */
enum outcome control_client_next(struct control_client *, instant deadline, json_t **ret, struct complaint *);

/* Until the node is ready: OK. At the deadline: the cause that it gave last, or TIMED_OUT if it gave none; the complaint
 * says what the node was doing. `progress` (may be NULL) sees each line. */
enum outcome control_client_wait(struct control_client *, instant deadline, void (*progress)(void *context, const json_t *),
                                 void *context, struct complaint *);

#endif
