/**
 * A small, strict Jinja2 engine for chat templates: {@code Lexer} and {@code Parser} turn a
 * template into an immutable tree of {@code Statement}s and {@code Expression}s, which run against
 * Python values ({@code Values}, {@code Operators}, {@code Methods}, {@code Filters}, {@code
 * Tests}).
 *
 * <p>The reference is Jinja2 3.1 as Hugging Face transformers sets it up (immutable sandbox,
 * trim_blocks, lstrip_blocks, loop controls, own {@code tojson}, generation blocks). What is not
 * known here ends in an error that names the template line, never in another text.
 */
@NullMarked
package org.alpaca4j.core.internal.jinja;

import org.jspecify.annotations.NullMarked;
