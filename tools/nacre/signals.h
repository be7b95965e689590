/* SPDX-License-Identifier: MIT */
/* signals: a signal ends the tool in order: the current work is stopped, and contexts are closed with their state.
 *
 * SIGINT, SIGTERM, SIGQUIT (whose core dump would hold keys)  stop the work
 * SIGHUP with a function to reload                            calls it
 * SIGHUP with a controlling terminal at the start             stops the work
 * SIGHUP without one                                          stops short work; a server or observation continues and says on
 *                                                             stderr that it does not reload
 * SIGPIPE, SIGXFSZ                                            ignored (main.c): the write fails and is reported
 * Signals ignored at the start (nohup) stay ignored, but servers and observations still handle SIGINT, because shells
 * ignore it for background jobs. */
#ifndef NACRE_TOOL_SIGNALS_H
#define NACRE_TOOL_SIGNALS_H

#include <stdbool.h>

/* tool_signals_catch installs the handlers. `lasting`: a server or an observation, which normally ends by a signal. */
void tool_signals_catch(const char *subcommand, bool lasting);

/* tool_signals_stop_with sets the function that stops the work. The signal handler calls it, or this call does if a signal came
 * before. NULL: none. */
void tool_signals_stop_with(void (*stop)(void));

/* tool_signals_reload_with sets the function that SIGHUP calls, in the signal handler; NULL: none. */
void tool_signals_reload_with(void (*reload)(void));

/* tool_is_stopped: a signal has arrived. */
bool tool_is_stopped(void);

/* tool_signals_end is called after everything is closed. Short work that was stopped ends the process by that signal, as the
 * shell expects; otherwise `result` is returned. */
int tool_signals_end(int result);

/* tool_signals_hold blocks the signals, for short work that has a context open; tool_signals_let unblocks
 * them. */
void tool_signals_hold(void);
void tool_signals_let(void);

#endif
