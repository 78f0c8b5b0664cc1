/**
 * Model repositories on the Hugging Face hub, and the cache of them on this machine.
 *
 * <p>Internal: used by {@code ModelHub}, not part of the public API.
 */
@NullMarked
package org.alpaca4j.core.internal.hub;

import org.jspecify.annotations.NullMarked;
