/**
 * Choosing tokens from scores: logits processors, sampling and beam search, in plain Java.
 *
 * <p>Internal: used by the modules of this project, not part of the public API.
 */
@NullMarked
package org.alpaca4j.core.internal.generation;

import org.jspecify.annotations.NullMarked;
