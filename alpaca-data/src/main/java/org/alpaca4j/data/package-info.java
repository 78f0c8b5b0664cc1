/** Instruction data: records, label masks, datasets, collators and packing. */
@NullMarked
package org.alpaca4j.data;

import org.jspecify.annotations.NullMarked;
