/* SPDX-License-Identifier: MIT */
/* notification: notifications are ordered by Partial IV, not by the unprotected outer Observe option (RFC 8613 4.1.3.5,
 * 7.4.1). */
#include <nacre/oscore.h>

nacre_err nacre_notification_accept(nacre_notification_order *order, const nacre_response_info *info)
{
    if (!info->has_partial_iv) { /* the oldest possible, and unique */
        if (order->any) return NACRE_ERR_REPLAY;
    } else {
        if (order->has_number && info->partial_iv <= order->number) return NACRE_ERR_REPLAY;
        order->number = info->partial_iv;
        order->has_number = true;
    }
    order->any = true;
    return NACRE_OK;
}
