/** Supervised fine-tuning of causal language models. */
@NullMarked
package org.alpaca4j.train;

import org.jspecify.annotations.NullMarked;
