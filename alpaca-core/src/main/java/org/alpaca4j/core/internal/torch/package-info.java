/**
 * Torch programs: TorchScript written as readable resource files, loaded and called from Java.
 *
 * <p>Internal: used by the modules of this project, not part of the public API.
 */
@NullMarked
package org.alpaca4j.core.internal.torch;

import org.jspecify.annotations.NullMarked;
