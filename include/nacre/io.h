/* SPDX-License-Identifier: MIT */
/* io: the headers that do input and output. New code includes those that it uses, or nacre.h. */
#ifndef NACRE_IO_H
#define NACRE_IO_H

#include <nacre/system.h>
#include <nacre/address.h>
#include <nacre/udp.h>
#include <nacre/tcp.h>
#include <nacre/loop.h>
#include <nacre/client.h>
#include <nacre/server.h>

#endif
