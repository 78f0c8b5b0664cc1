/**
 * What several parts of the library need and users do not.
 *
 * <p>Internal: used by the modules of this project, not part of the public API.
 */
@NullMarked
package org.alpaca4j.core.internal;

import org.jspecify.annotations.NullMarked;
