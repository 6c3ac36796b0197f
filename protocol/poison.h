/* Memory that is free inside a pool, made unreadable to AddressSanitizer, so that a stale pointer is caught at its use.
 * Spec: none. Called by cell_pool and id_table only.
 * Does nothing in a build without AddressSanitizer. Regions begin and end at multiples of 8.
 */
#ifndef TUNIC_PROTOCOL_POISON_H
#define TUNIC_PROTOCOL_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_IS_ON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_IS_ON 1
#endif
#endif

#ifdef POISON_IS_ON
#include <sanitizer/asan_interface.h>
#endif

/* From here to poison_lift, any touch of the region ends the program with a report. */
static inline void poison_lay(const void *region, size_t len) {
#ifdef POISON_IS_ON
  __asan_poison_memory_region(region, len);
#else
  (void)region, (void)len;
#endif
}

static inline void poison_lift(const void *region, size_t len) {
#ifdef POISON_IS_ON
  __asan_unpoison_memory_region(region, len);
#else
  (void)region, (void)len;
#endif
}

#endif
