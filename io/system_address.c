#include "io/system_address.h"

#include <netinet/in.h>
#include <string.h>

bool address_from_system(const struct sockaddr *system, struct address *ret) {
  *ret = (struct address){0};
  if (system->sa_family == AF_INET) {
    struct sockaddr_in v4;
    memcpy(&v4, system, sizeof v4);
    ret->family = ADDRESS_IPV4;
    memcpy(ret->bytes, &v4.sin_addr, 4);
    ret->port = ntohs(v4.sin_port);
    return true;
  }
  if (system->sa_family == AF_INET6) {
    struct sockaddr_in6 v6;
    memcpy(&v6, system, sizeof v6);
    ret->family = ADDRESS_IPV6;
    memcpy(ret->bytes, &v6.sin6_addr, 16);
    ret->port = ntohs(v6.sin6_port);
    return true;
  }
  return false;
}

socklen_t address_to_system(const struct address *address, struct sockaddr_storage *ret) {
  memset(ret, 0, sizeof *ret);
  if (address->family == ADDRESS_IPV4) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    memcpy(&v4.sin_addr, address->bytes, 4);
    memcpy(ret, &v4, sizeof v4);
    return sizeof v4;
  }
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
  memcpy(&v6.sin6_addr, address->bytes, 16);
  memcpy(ret, &v6, sizeof v6);
  return sizeof v6;
}
