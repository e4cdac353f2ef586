/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/armid.c - ARM paths: what is read is written in one form, and read again as the same */
#include "base/str.h"
#include "resource/id.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)4 << 20);
    const char *path = arena_str(&a, bytes_of(data, size));
    struct arm_id id, again;
    struct diag d = DIAG_INIT;
    if (path == NULL || strlen(path) != size || arm_id_parse(&a, path, &id, &d) != OK) return 0;
    assert(id.n >= 1 && id.n <= ARM_ID_DEPTH_MAX);
    for (uint32_t i = 0; i < id.n; i++) {
        assert(id.types[i] != NULL && id.types[i][0] != '\0');
        assert(strlen(id.types[i]) <= ARM_ID_SEGMENT_MAX);
        assert(id.names[i] != NULL || i + 1 == id.n);
    }
    const char *text = arm_id_format(&a, &id, NULL);
    const char *key = arm_id_key(&a, &id);
    assert(str_eq_nocase(text, key));
    diag_reset(&d);
    assert(arm_id_parse(&a, text, &again, &d) == OK);
    assert(str_eq_nocase(again.type, id.type) && again.n == id.n);
    assert(str_eq(arm_id_key(&a, &again), key));
    const struct arm_id *parent = arm_id_parent(&a, &id);
    assert(parent == NULL || (parent->n == id.n - 1 && parent->names[parent->n - 1] != NULL));
    (void)arm_id_label(&a, &id, NULL);
    return 0;
}
