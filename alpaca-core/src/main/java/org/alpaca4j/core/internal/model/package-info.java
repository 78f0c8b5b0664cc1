/**
 * Decoder families as torch programs, the layout of their parameters, and the weights in memory.
 *
 * <p>Internal: used by the modules of this project, not part of the public API.
 */
@NullMarked
package org.alpaca4j.core.internal.model;

import org.jspecify.annotations.NullMarked;
