/**
 * Self-Instruct: new instruction data written by a language model after the example of seed tasks,
 * as Stanford Alpaca's {@code generate_instruction.py} does it. Begin with {@link
 * org.alpaca4j.data.selfinstruct.SelfInstruct}.
 */
@NullMarked
package org.alpaca4j.data.selfinstruct;

import org.jspecify.annotations.NullMarked;
