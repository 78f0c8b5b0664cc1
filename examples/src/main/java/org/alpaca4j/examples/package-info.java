/** Programs that use the library, one {@code main} per class. */
@NullMarked
package org.alpaca4j.examples;

import org.jspecify.annotations.NullMarked;
