/* TCP sockets: made, listened on, connected and tuned; the system's addresses and errors in our terms.
 * Spec: specs/machines.md. Called by io/driver.
 * Never blocks, never reads or writes what a connection carries.
 */
#ifndef TUNIC_IO_TCP_H
#define TUNIC_IO_TCP_H

#include "protocol/machine.h"
#include "protocol/pace.h"

enum {
  TCP_UNSENT_BYTES = 128 * 1024,      /* no more than this waits in the kernel without being on its way */
  TCP_UNSENT_LEAST_BYTES = 16 * 1024, /* of a link with a pace: 10 ms of it, but at least this */
  TCP_BACKLOG = 1024,
  TCP_CONGESTION_BYTES = 16, /* a congestion control's name and its zero */
};

/* What the system says, as an outcome. `connecting`: a timeout then means another thing. */
enum outcome tcp_outcome(int error, bool connecting);
/* True for what passes when others close descriptors or free memory. */
bool tcp_is_shortage(int error);

/* A listening socket in *ret_fd, and the address it got (a port 0 is chosen by the system). PORT_TAKEN if another
 * socket listens there: addresses are reused only after their connections, never shared. Accepted sockets inherit its tuning. */
enum outcome tcp_listen(const struct address *, enum connection_kind, int *ret_fd, struct address *ret_bound);
/* An accepted socket, or -1 with errno. */
int tcp_accept(int listener, struct address *ret_peer);
/* A socket that is connecting, or connected already (*ret_connected). Not OK: why not. */
enum outcome tcp_connect(const struct address *, enum connection_kind, int *ret_fd, bool *ret_connected);
/* How a connect that became writable ended. */
enum outcome tcp_connect_result(int fd);

/* What the system tells of a link. False: it tells nothing. */
bool tcp_sample(int fd, struct pace_sample *ret);
/* [PACE-1] No faster than this many bytes a second; 0: as fast as the system's control goes. */
void tcp_set_pace(int fd, uint64_t bytes_per_s);
/* [PACE-8] The system's congestion control forgets what it found out and begins anew, if it is bbr and this process may
 * choose it; else it goes on as it is. What is on the way and what was limited stays. */
void tcp_renew_control(int fd);

/* The congestion control that a socket got, which need not be the one that was asked for. */
void tcp_congestion(int fd, char ret_name[TCP_CONGESTION_BYTES]);

#endif
