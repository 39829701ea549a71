/* The two words that every thread reads: the gate and the count. */
#include "account.h"

struct gate gate; /* 0: the first call of all boots the library */

/* Nothing looks by itself until the runtime has set a mark. */
struct account account = {.look_at = INT64_MAX};
