/* `tunic-network authority ...`: what people type to change who the authorities are.
 * Spec: specs/network-file.md. Called by network/main.c.
 * Never changes a file that is in use: each change is a new file.
 */
#ifndef TUNIC_NETWORK_SERIAL_COMMAND_H
#define TUNIC_NETWORK_SERIAL_COMMAND_H

#include "io/complaint.h"
#include "network/init.h"

/* argv[0] is `authority`, argv[1] what to do. DONE: help was shown. */
enum outcome serial_command(int argc, char **argv, struct complaint *);

#endif
