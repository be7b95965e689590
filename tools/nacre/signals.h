/* SPDX-License-Identifier: MIT */
/* signals: a signal that ends the tool ends it in order: what goes on is stopped, and contexts are closed with their state.
 *
 * SIGINT, SIGTERM, SIGQUIT (whose core dump would hold keys)  stop
 * SIGHUP with a controlling terminal at the start              stops
 * SIGHUP without one                                           stops what is not lasting; what is reloads nothing, and says
 *                                                              so on stderr
 * SIGPIPE, SIGXFSZ                                             ignored (main.c): the write fails and is reported
 * What was ignored at the start (nohup) stays ignored; but a server and an observation take SIGINT even so, because shells
 * ignore it for what they start in the background. */
#ifndef NACRE_TOOL_SIGNALS_H
#define NACRE_TOOL_SIGNALS_H

#include <stdbool.h>

/* tool_signals_catch: from now on the signals stop. `lasting`: a server or an observation, whose proper end is a signal. */
void tool_signals_catch(const char *subcommand, bool lasting);

/* tool_signals_stop_with sets what stops the work; a signal handler calls it, or this call itself when a signal came
 * before. NULL: nothing. */
void tool_signals_stop_with(void (*stop)(void));

/* tool_is_stopped: a signal came. */
bool tool_is_stopped(void);

/* tool_signals_end comes after all was closed. Work that is not lasting and was stopped ends by that signal, as the shell
 * expects; otherwise the exit code is given back. */
int tool_signals_end(int result);

/* tool_signals_hold keeps the signals back, for work that takes a moment and holds a context; tool_signals_let lets them
 * come. */
void tool_signals_hold(void);
void tool_signals_let(void);

#endif
