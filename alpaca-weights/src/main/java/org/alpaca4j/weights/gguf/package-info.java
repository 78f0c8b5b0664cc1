/**
 * GGUF files, which llama.cpp and Ollama run: checkpoint folders to such files and back.
 *
 * <p>Start reading at {@link org.alpaca4j.weights.gguf.GgufExport} and {@link
 * org.alpaca4j.weights.gguf.GgufImport}.
 */
@NullMarked
package org.alpaca4j.weights.gguf;

import org.jspecify.annotations.NullMarked;
