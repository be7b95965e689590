/* SPDX-License-Identifier: MIT */
/* greeter: a server in a child process (served.h) with three resources: /hello; /who, which returns the client's
 * Recipient ID and the length of its payload; and /open, which does the same for plain requests too. */
#ifndef NACRE_TEST_GREETER_H
#define NACRE_TEST_GREETER_H

#include "served.h"

/* greeter_start loads the contexts of these directories; NULL ends the list. */
served greeter_start(const char *bind, const char *const *dirs);
served greeter_start_one(const char *bind, const char *dir);

/* The handler of /hello: "Hello World!" */
void greeter_hello(void *user, const nacre_request *request, nacre_response *response);

#endif
