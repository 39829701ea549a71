/* The screen of plimsoll top. */
#ifndef PLIM_CMD_TOP_SCREEN_H
#define PLIM_CMD_TOP_SCREEN_H

#include "table.h"

/* Until the user quits or a signal asks to end. Returns the exit code. */
int top_screen(enum column by, int interval_ms);

#endif
