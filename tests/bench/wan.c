/* An emulated wide-area network on one machine: hosts with access links that have delay, rate, queue and loss.
 *
 *   wan CONFIG     each line `HOST ADDRESS DELAY_MS RATE_MBIT QUEUE_MS LOSS_PERCENT`, ADDRESS in 198.18.0.0/15
 *
 * Each host is a network namespace with one TUN device; this process is the core between them. A packet crosses its
 * sender's access link (a queue that drops its tail, the rate, random loss, the delay), then its receiver's. The kernel
 * hands over trains of TCP segments, which keeps the emulation cheap; they are queued, dropped and lost one segment at a
 * time. Namespaces have no names: they live as long as this process and what runs in them, so that nothing is left behind
 * even by kill -9.
 *
 * Standard output: `HOST /proc/PID/fd/N` for each host, to be entered by `nsenter --net=PATH`, then `ready`.
 * Standard input:  `loss HOST PERCENT` changes both directions of an access link; `count` prints `name value` lines of
 *                  everything since the last `count`, then `end`; the end of the input ends the network.
 * Needs root and /dev/net/tun. IPv4 only; one thread.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  HOSTS_MAX = 64,
  NAME_BYTES = 32,
  MTU = 1500,
  TRAIN_BYTES = 65536, /* a train of segments, as the kernel makes them */
  READS_PER_TURN = 32,
  DEVICE_QUEUE = 4000, /* packets that wait for this process */
  LATE_NS = 1000 * 1000,
};

static const uint64_t NEVER = UINT64_MAX;

/* What the device hands over: bytes of IPv4, and in front of them how the kernel may cut them into segments. */
struct train {
  struct virtio_net_hdr cut;
  uint8_t bytes[TRAIN_BYTES];
} __attribute__((packed));

struct packet {
  struct packet *next;
  uint64_t due; /* when it has crossed the pipe it is in */
  uint32_t to, len;
  struct train train; /* allocated only as far as `len` */
};

struct counts { uint64_t packets, bytes, dropped, lost; };

/* One direction of an access link. All packets in it take equally long, so it is a plain queue. */
struct pipe {
  struct packet *first, *last;
  double ns_per_byte;
  uint64_t delay_ns, queue_ns, free_at;
  struct counts counts;
};

struct host {
  char name[NAME_BYTES];
  uint32_t address; /* in the host's byte order */
  double loss;
  int device, space;
  struct pipe up, down;
};

struct wan {
  struct host hosts[HOSTS_MAX];
  uint32_t count;
  struct train incoming;
  uint64_t random;
  uint64_t delivered, late, late_ns, late_most_ns, refused;
  double processor_s, counted_since;
};

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- trains of segments ---- */

static uint32_t header_bytes(const struct packet *packet) {
  return packet->train.cut.gso_type == VIRTIO_NET_HDR_GSO_NONE ? packet->len : packet->train.cut.hdr_len;
}

static uint32_t segment_count(const struct packet *packet) {
  if (packet->train.cut.gso_type == VIRTIO_NET_HDR_GSO_NONE) return 1;
  uint32_t size = packet->train.cut.gso_size, payload = packet->len - header_bytes(packet);
  return (payload + size - 1) / size;
}

/* On the wire, with its own header. */
static uint32_t segment_bytes(const struct packet *packet, uint32_t i) {
  if (packet->train.cut.gso_type == VIRTIO_NET_HDR_GSO_NONE) return packet->len;
  uint32_t size = packet->train.cut.gso_size, header = header_bytes(packet), left = packet->len - header - i * size;
  return header + (left < size ? left : size);
}

static uint16_t folded_sum(const uint8_t *bytes, uint32_t len, uint32_t sum) {
  for (uint32_t i = 0; i + 1 < len; i += 2) sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)sum;
}

/* After a cut: lengths, the header's checksum, the part of TCP's that the kernel wants, and whether it still is a train. */
static void correct(struct packet *packet, uint32_t header) {
  struct iphdr ip;
  struct tcphdr tcp;
  memcpy(&ip, packet->train.bytes, sizeof ip);
  uint32_t ip_bytes = (uint32_t)ip.ihl * 4, tcp_bytes = packet->len - ip_bytes;
  ip.tot_len = htons((uint16_t)packet->len);
  ip.check = 0;
  memcpy(packet->train.bytes, &ip, sizeof ip);
  ip.check = htons((uint16_t)~folded_sum(packet->train.bytes, ip_bytes, 0));
  memcpy(packet->train.bytes, &ip, sizeof ip);
  memcpy(&tcp, packet->train.bytes + ip_bytes, sizeof tcp);
  tcp.check = htons(folded_sum(packet->train.bytes + 12, 8, IPPROTO_TCP + tcp_bytes)); /* both addresses */
  memcpy(packet->train.bytes + ip_bytes, &tcp, sizeof tcp);
  if (packet->len - header > packet->train.cut.gso_size) return;
  packet->train.cut.gso_type = VIRTIO_NET_HDR_GSO_NONE;
  packet->train.cut.gso_size = 0;
}

static struct packet *packet_new(const struct train *train, uint32_t len, uint32_t to) {
  struct packet *packet = malloc(offsetof(struct packet, train) + sizeof train->cut + len);
  if (packet == NULL) fail("memory");
  packet->next = NULL;
  packet->due = 0;
  packet->to = to;
  packet->len = len;
  memcpy(&packet->train, train, sizeof train->cut + len);
  return packet;
}

/* Leaves the first `count` segments in the packet, which has more, and returns the others. */
static struct packet *split(struct packet *packet, uint32_t count) {
  uint32_t header = header_bytes(packet), kept = count * packet->train.cut.gso_size;
  uint32_t ip_bytes = (uint32_t)(packet->train.bytes[0] & 15) * 4;
  struct packet *rest = packet_new(&packet->train, packet->len, packet->to);
  struct tcphdr tcp;
  memmove(rest->train.bytes + header, rest->train.bytes + header + kept, packet->len - header - kept);
  rest->len -= kept;
  memcpy(&tcp, rest->train.bytes + ip_bytes, sizeof tcp);
  tcp.seq = htonl(ntohl(tcp.seq) + kept);
  memcpy(rest->train.bytes + ip_bytes, &tcp, sizeof tcp);
  correct(rest, header);
  packet->len = header + kept;
  memcpy(&tcp, packet->train.bytes + ip_bytes, sizeof tcp);
  tcp.fin = tcp.psh = 0; /* said by the last segment only */
  memcpy(packet->train.bytes + ip_bytes, &tcp, sizeof tcp);
  correct(packet, header);
  return rest;
}

/* ---- the emulation ---- */

/* splitmix64 from a fixed seed: the n-th packet has the same luck in every run. */
static bool is_lost(struct wan *wan, const struct host *host) {
  if (host->loss <= 0) return false;
  uint64_t z = wan->random += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53 < host->loss;
}

/* Takes one segment's time of the pipe; false: it is dropped or lost. */
static bool admit(struct wan *wan, const struct host *host, struct pipe *pipe, uint32_t bytes, uint64_t now) {
  uint64_t start = pipe->free_at > now ? pipe->free_at : now;
  if (start - now > pipe->queue_ns) {
    pipe->counts.dropped++;
    return false;
  }
  pipe->free_at = start + (uint64_t)(pipe->ns_per_byte * bytes);
  if (is_lost(wan, host)) {
    pipe->counts.lost++;
    return false;
  }
  pipe->counts.packets++;
  pipe->counts.bytes += bytes;
  return true;
}

static void append(struct pipe *pipe, struct packet *packet) {
  packet->due = pipe->free_at + pipe->delay_ns;
  packet->next = NULL;
  if (pipe->first == NULL) pipe->first = packet;
  else pipe->last->next = packet;
  pipe->last = packet;
}

/* Takes the packet; what is not dropped leaves the pipe at its due time. `now` is when it arrives there, not when we looked. */
static void enter(struct wan *wan, const struct host *host, struct pipe *pipe, struct packet *packet, uint64_t now) {
  while (packet != NULL) {
    uint32_t count = segment_count(packet), passed = 0;
    while (passed < count && admit(wan, host, pipe, segment_bytes(packet, passed), now)) passed++;
    struct packet *refused = passed == count ? NULL : packet;
    if (passed > 0) {
      if (passed < count) refused = split(packet, passed);
      append(pipe, packet);
    }
    packet = refused != NULL && count - passed > 1 ? split(refused, 1) : NULL;
    free(refused);
  }
}

static struct packet *leave(struct pipe *pipe) {
  struct packet *packet = pipe->first;
  pipe->first = packet->next;
  return packet;
}

static void deliver(struct wan *wan, struct packet *packet, uint64_t now) {
  uint64_t late = now - packet->due;
  wan->delivered++;
  wan->late += late > LATE_NS;
  wan->late_ns += late;
  if (late > wan->late_most_ns) wan->late_most_ns = late;
  if (write(wan->hosts[packet->to].device, &packet->train, sizeof packet->train.cut + packet->len) < 0) wan->refused++;
  free(packet);
}

/* The pipe whose first packet leaves first, and whose it is. A few dozen pipes: a scan is as fast as a heap. */
static struct pipe *earliest(struct wan *wan, struct host **ret_host) {
  struct pipe *found = NULL;
  for (uint32_t i = 0; i < wan->count; i++) {
    struct host *host = &wan->hosts[i];
    if (host->up.first != NULL && (found == NULL || host->up.first->due < found->first->due)) found = &host->up, *ret_host = host;
    if (host->down.first != NULL && (found == NULL || host->down.first->due < found->first->due)) found = &host->down, *ret_host = host;
  }
  return found;
}

/* Moves everything that is due, in the order of time; returns when the next is. */
static uint64_t advance(struct wan *wan) {
  struct host *host = NULL;
  uint64_t now = now_ns();
  for (struct pipe *pipe; (pipe = earliest(wan, &host)) != NULL;) {
    if (pipe->first->due > now) return pipe->first->due;
    struct packet *packet = leave(pipe);
    if (pipe == &host->down) deliver(wan, packet, now);
    else enter(wan, &wan->hosts[packet->to], &wan->hosts[packet->to].down, packet, packet->due);
  }
  return NEVER;
}

static bool find_host(const struct wan *wan, uint32_t address, uint32_t *ret) {
  for (*ret = 0; *ret < wan->count; (*ret)++)
    if (wan->hosts[*ret].address == address) return true;
  return false;
}

/* A train that can be cut: TCP over IPv4 with its whole header in front. */
static bool is_sound(const struct train *train, size_t len) {
  if (len < sizeof(struct iphdr) || train->bytes[0] >> 4 != 4) return false;
  if (train->cut.gso_type == VIRTIO_NET_HDR_GSO_NONE) return len <= MTU;
  size_t least = (size_t)(train->bytes[0] & 15) * 4 + sizeof(struct tcphdr);
  return (train->cut.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_TCPV4 && train->cut.gso_size > 0 &&
         train->cut.hdr_len >= least && len > train->cut.hdr_len;
}

/* What a host sends: IPv4 to another host; the rest (IPv6's own chatter) has nowhere to go. */
static void receive(struct wan *wan, struct host *host) {
  uint64_t now = now_ns();
  struct train *train = &wan->incoming;
  for (int i = 0; i < READS_PER_TURN; i++) {
    ssize_t got = read(host->device, train, sizeof *train);
    if (got < (ssize_t)sizeof train->cut) return;
    size_t len = (size_t)got - sizeof train->cut;
    uint32_t to, destination;
    if (!is_sound(train, len)) continue;
    memcpy(&destination, train->bytes + offsetof(struct iphdr, daddr), sizeof destination);
    if (find_host(wan, ntohl(destination), &to)) enter(wan, host, &host->up, packet_new(train, (uint32_t)len, to), now);
  }
}

/* ---- making the hosts ---- */

static void set_device(int fd, struct ifreq *request, unsigned long what, const char *name) {
  if (ioctl(fd, what, request) != 0) fail(name);
}

static void set_address(int fd, struct ifreq *request, unsigned long what, uint32_t address) {
  struct sockaddr_in value = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
  memcpy(&request->ifr_addr, &value, sizeof value);
  set_device(fd, request, what, "address");
}

static void raise_device(int fd, struct ifreq *request) {
  set_device(fd, request, SIOCGIFFLAGS, "flags");
  request->ifr_flags |= IFF_UP | IFF_RUNNING;
  set_device(fd, request, SIOCSIFFLAGS, "flags");
}

/* A namespace of its own with loopback and one device; this process sees only the device. */
static void make_host(struct host *host, int home) {
  if (unshare(CLONE_NEWNET) != 0) fail("a network namespace (needs root)");
  host->space = open("/proc/thread-self/ns/net", O_RDONLY);
  host->device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq device = {.ifr_name = "wan0", .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR}, loopback = {.ifr_name = "lo"};
  if (host->space < 0 || host->device < 0 || fd < 0) fail("/dev/net/tun");
  set_device(host->device, &device, TUNSETIFF, "/dev/net/tun");
  if (ioctl(host->device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) != 0) fail("trains of segments");
  set_address(fd, &device, SIOCSIFADDR, host->address);
  set_address(fd, &device, SIOCSIFNETMASK, 0xfffe0000);
  device.ifr_mtu = MTU;
  set_device(fd, &device, SIOCSIFMTU, "mtu");
  device.ifr_qlen = DEVICE_QUEUE;
  set_device(fd, &device, SIOCSIFTXQLEN, "queue");
  raise_device(fd, &device);
  raise_device(fd, &loopback);
  close(fd);
  if (setns(home, CLONE_NEWNET) != 0) fail("the way back");
}

static void set_pipe(struct pipe *pipe, double delay_ms, double rate_mbit, double queue_ms) {
  pipe->delay_ns = (uint64_t)(delay_ms * 1e6);
  pipe->ns_per_byte = 8e3 / rate_mbit;
  pipe->queue_ns = (uint64_t)(queue_ms * 1e6);
}

static void read_config(struct wan *wan, const char *path) {
  FILE *file = fopen(path, "r");
  if (file == NULL) fail(path);
  char line[256], address[32];
  for (int number = 1; fgets(line, sizeof line, file) != NULL; number++) {
    struct host *host = &wan->hosts[wan->count];
    double delay_ms, rate_mbit, queue_ms, loss_percent;
    struct in_addr parsed;
    if (line[0] == '#' || line[0] == '\n') continue;
    if (wan->count == HOSTS_MAX || sscanf(line, "%31s %31s %lf %lf %lf %lf", host->name, address, &delay_ms, &rate_mbit, &queue_ms, &loss_percent) != 6 ||
        inet_pton(AF_INET, address, &parsed) != 1 || ntohl(parsed.s_addr) >> 17 != 0xc6120000 >> 17 || !(rate_mbit > 0)) {
      fprintf(stderr, "%s:%d: write `HOST 198.18.X.Y DELAY_MS RATE_MBIT QUEUE_MS LOSS_PERCENT`\n", path, number);
      exit(2);
    }
    host->address = ntohl(parsed.s_addr);
    host->loss = loss_percent / 100;
    set_pipe(&host->up, delay_ms, rate_mbit, queue_ms);
    set_pipe(&host->down, delay_ms, rate_mbit, queue_ms);
    wan->count++;
  }
  fclose(file);
}

/* ---- what is asked on standard input ---- */

static double processor_s(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void count(struct wan *wan) {
  double processor = processor_s(), now = (double)now_ns() / 1e9;
  for (uint32_t i = 0; i < wan->count; i++) {
    struct host *host = &wan->hosts[i];
    const struct counts *up = &host->up.counts, *down = &host->down.counts;
    printf("%s_sent_packets %llu\n%s_received_packets %llu\n", host->name, (unsigned long long)up->packets, host->name, (unsigned long long)down->packets);
    printf("%s_dropped_up_packets %llu\n%s_dropped_down_packets %llu\n", host->name, (unsigned long long)up->dropped, host->name, (unsigned long long)down->dropped);
    printf("%s_lost_packets %llu\n", host->name, (unsigned long long)(up->lost + down->lost));
    host->up.counts = host->down.counts = (struct counts){0};
  }
  printf("delivered_trains %llu\nrefused_trains %llu\n", (unsigned long long)wan->delivered, (unsigned long long)wan->refused);
  printf("late_mean_us %.1f\n", wan->delivered > 0 ? (double)wan->late_ns / (double)wan->delivered / 1e3 : 0);
  printf("late_most_ms %.2f\n", (double)wan->late_most_ns / 1e6);
  printf("late_over_1ms_percent %.3f\n", wan->delivered > 0 ? 100.0 * (double)wan->late / (double)wan->delivered : 0);
  printf("processor_s %.3f\nelapsed_s %.3f\nend\n", processor - wan->processor_s, now - wan->counted_since);
  fflush(stdout);
  wan->processor_s = processor;
  wan->counted_since = now;
  wan->delivered = wan->late = wan->late_ns = wan->late_most_ns = wan->refused = 0;
}

static void obey(struct wan *wan, const char *line) {
  char name[NAME_BYTES];
  double percent;
  if (strcmp(line, "count\n") == 0) return count(wan);
  if (sscanf(line, "loss %31s %lf", name, &percent) != 2) {
    fprintf(stderr, "wan: not understood: %s", line);
    return;
  }
  for (uint32_t i = 0; i < wan->count; i++)
    if (strcmp(wan->hosts[i].name, name) == 0) wan->hosts[i].loss = percent / 100;
}

/* False at the end of the input. A line comes whole: whoever writes it flushes it. */
static bool read_commands(struct wan *wan) {
  char bytes[512];
  ssize_t len = read(STDIN_FILENO, bytes, sizeof bytes - 1);
  if (len <= 0) return false;
  bytes[len] = 0;
  for (char *line = bytes, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    char one[512];
    snprintf(one, sizeof one, "%.*s\n", (int)(end - line), line);
    obey(wan, one);
  }
  return true;
}

static void run(struct wan *wan, int epoll) {
  struct epoll_event events[HOSTS_MAX + 1];
  for (;;) {
    uint64_t next = advance(wan), now = now_ns(), left = next > now ? next - now : 0;
    struct timespec wait = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
    int ready = epoll_pwait2(epoll, events, HOSTS_MAX + 1, next == NEVER ? NULL : &wait, NULL);
    if (ready < 0 && errno != EINTR) fail("epoll_pwait2");
    for (int i = 0; i < ready; i++) {
      struct host *host = events[i].data.ptr;
      if (host != NULL) receive(wan, host);
      else if (!read_commands(wan)) return;
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: wan CONFIG\n");
    return 2;
  }
  struct wan *wan = calloc(1, sizeof *wan);
  int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), epoll = epoll_create1(EPOLL_CLOEXEC);
  if (wan == NULL || home < 0 || epoll < 0) fail("start");
  read_config(wan, argv[1]);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0) fail("standard input must be a pipe or terminal");
  for (uint32_t i = 0; i < wan->count; i++) {
    make_host(&wan->hosts[i], home);
    event.data.ptr = &wan->hosts[i];
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, wan->hosts[i].device, &event) != 0) fail("epoll_ctl");
    printf("%s /proc/%d/fd/%d\n", wan->hosts[i].name, (int)getpid(), wan->hosts[i].space);
  }
  /* A packet that is delivered late is a longer path: this process goes before what it serves, and wakes exactly. */
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  setpriority(PRIO_PROCESS, 0, -15);
  wan->counted_since = (double)now_ns() / 1e9;
  printf("ready\n");
  fflush(stdout);
  run(wan, epoll);
  return 0;
}
