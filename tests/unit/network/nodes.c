#include "network/nodes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "network/command.h"

static struct network_file network_of(uint32_t authorities) {
  struct network_file network = {.authority_count = authorities, .is_lab = true};
  for (uint32_t i = 0; i < authorities; i++) {
    snprintf(network.authorities[i].name, sizeof network.authorities[i].name, "a%u", i + 1);
    snprintf(network.authorities[i].host, sizeof network.authorities[i].host, "127.0.0.1");
    network.authorities[i].port = (uint16_t)(9300 + i);
  }
  return network;
}

static const struct node_numbers NUMBERS = {
    .relays = 2, .exits = 1, .clients = 2, .port_base = 9300, .socks = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}, .port = 9150}};

static void place_of(const struct node *node, char ret[128]) {
  char address[ADDRESS_TEXT_BYTES];
  address_format(&node->address, address);
  snprintf(ret, 128, "%s %s %s", node->name, node_role_name(node->role), address);
}

static struct node_addresses *read_text(const char *text, enum outcome expected, struct complaint *complaint) {
  char path[] = "/tmp/tunic-nodes-XXXXXX";
  int fd = mkstemp(path);
  cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
  struct node_addresses *addresses = malloc(sizeof *addresses);
  cr_assert_not_null(addresses);
  cr_assert(node_addresses_read(path, addresses, complaint) == expected, "%s", text);
  unlink(path);
  return addresses;
}

Test(nodes, names_roles_and_ports_follow_each_other) {
  static const char *const EXPECTED[] = {
      "a1 authority 127.0.0.1:9300", "a2 authority 127.0.0.1:9301", "r1 relay 127.0.0.1:9302",  "r2 relay 127.0.0.1:9303",
      "x1 exit 127.0.0.1:9304",      "c1 client 127.0.0.1:9150",    "c2 client 127.0.0.1:9151",
  };
  struct network_file network = network_of(2);
  struct node_list *list = malloc(sizeof *list);
  cr_assert(list != NULL && node_list_make(&network, &NUMBERS, list, NULL) == OUTCOME_OK);
  cr_assert(list->count == sizeof EXPECTED / sizeof EXPECTED[0]);
  for (uint32_t i = 0; i < list->count; i++) {
    char place[128];
    place_of(&list->nodes[i], place);
    cr_assert_str_eq(place, EXPECTED[i]);
  }
  free(list);
}

Test(nodes, ports_never_run_over_the_end_and_nodes_not_over_the_table) {
  struct network_file network = network_of(1);
  struct node_list *list = malloc(sizeof *list);
  cr_assert_not_null(list);
  struct node_numbers numbers = NUMBERS;
  numbers.port_base = 65532; /* a1 and three more: the last possible */
  cr_assert(node_list_make(&network, &numbers, list, NULL) == OUTCOME_OK);
  numbers.port_base = 65533;
  cr_assert(node_list_make(&network, &numbers, list, NULL) == OUTCOME_BAD_SETTING);
  numbers = NUMBERS;
  numbers.socks.port = 65535;
  cr_assert(node_list_make(&network, &numbers, list, NULL) == OUTCOME_BAD_SETTING);
  numbers = NUMBERS;
  numbers.relays = NODES_MAX;
  cr_assert(node_list_make(&network, &numbers, list, NULL) == OUTCOME_BAD_SETTING);
  numbers.relays = UINT32_MAX;
  cr_assert(node_list_make(&network, &numbers, list, NULL) == OUTCOME_BAD_SETTING);
  free(list);
}

Test(nodes, a_list_of_addresses_places_every_node_or_names_who_is_missing) {
  struct complaint complaint;
  struct node_addresses *addresses = read_text("# where\n\nr1 192.0.2.1\n  r2\t2001:db8::1 \nx1 192.0.2.3", OUTCOME_OK, NULL);
  struct network_file network = network_of(1);
  struct node_list *list = malloc(sizeof *list);
  cr_assert_not_null(list);
  struct node_numbers numbers = NUMBERS;
  numbers.addresses = addresses;
  cr_assert(node_list_make(&network, &numbers, list, NULL) == OUTCOME_OK);
  char place[128];
  place_of(&list->nodes[2], place);
  cr_assert_str_eq(place, "r2 relay [2001:db8::1]:9302");
  numbers.exits = 2;
  cr_assert(node_list_make(&network, &numbers, list, &complaint) == OUTCOME_BAD_SETTING);
  cr_assert_not_null(strstr(complaint.text, "x2"));
  free(list);
  free(addresses);
}

Test(nodes, a_bad_line_of_addresses_is_named_by_its_number) {
  static const char *const BAD[] = {"r1 192.0.2.1\nr2", "r1 192.0.2.1\nr1 192.0.2.2", "r1 192.0.2.1\nr2 192.0.2.2 more",
                                    "r1 192.0.2.1\nr2 example.org", "r1 192.0.2.1\naaaaaaaaaaaaaaaaaaaaaaaa 192.0.2.2"};
  for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
    struct complaint complaint;
    free(read_text(BAD[i], OUTCOME_BAD_SETTING, &complaint));
    cr_assert_not_null(strstr(complaint.text, "line 2"), "%s", complaint.text);
  }
}

Test(nodes, a_node_is_started_by_its_own_command_line) {
  struct network_file network = network_of(1);
  struct up_wishes wishes = {.folder = "net", .exec_prefix = "  ip netns  exec t-{name} ", .shards = "2", .memory = "64", .log_level = "info"};
  struct node node = {.name = "x1", .role = NODE_EXIT, .address = {.family = ADDRESS_IPV4, .bytes = {192, 0, 2, 1}, .port = 9301}};
  static const char *const EXPECTED[] = {"ip", "netns", "exec", "t-x1", "bin/tunic-relay", "--network", "net/network", "--data", "net/x1",
                                         "--address", "192.0.2.1", "--port", "9301", "--nickname", "x1", "--shards", "2", "--memory", "64",
                                         "--exit-policy", "accept private:*, accept *:*", "--log", "info"};
  struct command *command = malloc(sizeof *command);
  cr_assert(command != NULL && command_make(&wishes, &network, &node, "bin", command, NULL) == OUTCOME_OK);
  cr_assert(command->count == sizeof EXPECTED / sizeof EXPECTED[0]);
  for (uint32_t i = 0; i < command->count; i++) cr_assert_str_eq(command->argv[i], EXPECTED[i]);
  cr_assert_null(command->argv[command->count]);
  network.is_lab = false; /* an exit of a real network never connects into its own neighbourhood */
  cr_assert(command_make(&wishes, &network, &node, "bin", command, NULL) == OUTCOME_OK);
  for (uint32_t i = 0; i < command->count; i++) cr_assert_null(strstr(command->argv[i], "private"));
  free(command);
}

Test(nodes, a_command_that_is_too_long_is_refused) {
  struct network_file network = network_of(1);
  char *prefix = malloc(COMMAND_TEXT_BYTES + 1);
  struct command *command = malloc(sizeof *command);
  cr_assert(prefix != NULL && command != NULL);
  struct up_wishes wishes = {.folder = "net", .exec_prefix = prefix};
  struct node node = {.name = "r1", .role = NODE_RELAY, .address = {.family = ADDRESS_IPV4, .port = 1}};
  memset(prefix, 'a', COMMAND_TEXT_BYTES);
  prefix[COMMAND_TEXT_BYTES] = 0;
  cr_assert(command_make(&wishes, &network, &node, "bin", command, NULL) == OUTCOME_BAD_SETTING);
  for (size_t i = 0; i < COMMAND_WORDS_MAX; i++) memcpy(prefix + 2 * i, "a ", 3); /* too many words */
  cr_assert(command_make(&wishes, &network, &node, "bin", command, NULL) == OUTCOME_BAD_SETTING);
  free(command);
  free(prefix);
}
