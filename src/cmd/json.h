/* JSON as every verb prints it: numbers as numbers, and words where there is no number. In ASCII,
 * so that a terminal acts on no name in it. */
#ifndef PLIM_CMD_JSON_H
#define PLIM_CMD_JSON_H

#include "../base.h"

#include <jansson.h>
#include <stdio.h>

/* Each returns a new reference. UNLIMITED becomes "unlimited". */
json_t *json_limit(uint64_t bytes);
json_t *json_millis(uint64_t millis); /* thousandths as a number: 1500 is 1.5 */
json_t *json_number(uint64_t v);
json_t *json_seconds(uint64_t ns);
json_t *json_known(uint64_t v);   /* null for UNLIMITED */
json_t *json_text(const char *s); /* bytes that are no UTF-8 become "?" */

/* Prints it with a newline and drops the reference. */
void json_write(json_t *json, FILE *to);
void json_print(json_t *json); /* on stdout */

#endif
