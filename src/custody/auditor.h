/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/auditor.h - to whom the first MAC key of each segment of the audit log is sealed
 *
 * The PEM that the operator names, or DIR/auditor.pem. Where that is missing a pair is made:
 * DIR/auditor.key is the private half, which belongs on another machine.
 */
#pragma once

#include "crypto/letter.h"

/* pem may be NULL. private_path gets "" or where the private half lies. */
enum err auditor_key(struct letter_key **out, const char *dir, const char *pem, char *private_path,
                     size_t cap, struct diag *d);
