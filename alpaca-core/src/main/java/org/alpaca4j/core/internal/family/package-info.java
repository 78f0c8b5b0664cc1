/** The families of models: one class each, which describes the decoder of a {@code config.json}. */
@NullMarked
package org.alpaca4j.core.internal.family;

import org.jspecify.annotations.NullMarked;
