/** Measures the library against its Python peers; one {@code main} per side and figure. */
@NullMarked
package org.alpaca4j.benchmarks;

import org.jspecify.annotations.NullMarked;
