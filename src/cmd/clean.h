/* Text that others wrote, made fit for a terminal. */
#ifndef PLIM_CMD_CLEAN_H
#define PLIM_CMD_CLEAN_H

/* Puts "?" in place of each byte of a control character, C1 ones among them, and of each byte that
 * is not UTF-8. */
void clean_text(char *text);

#endif
