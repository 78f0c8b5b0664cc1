/**
 * PyTorch's files of weights: where the bytes of each tensor lie in a zip archive or in the older
 * format, and how they are put in order.
 *
 * <p>Internal: used by the modules of this project, not part of the public API.
 */
@NullMarked
package org.alpaca4j.core.internal.pytorch;

import org.jspecify.annotations.NullMarked;
