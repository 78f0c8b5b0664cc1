/** Operations on whole checkpoints: diffs, conversion, merging. */
@NullMarked
package org.alpaca4j.weights;

import org.jspecify.annotations.NullMarked;
