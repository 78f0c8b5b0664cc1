/**
 * Reads Python pickles as data: values, containers and what a caller permits by name. Nothing in a
 * pickle can load a class or call a method.
 *
 * <p>Internal: used by the modules of this project, not part of the public API.
 */
@NullMarked
package org.alpaca4j.core.internal.pickle;

import org.jspecify.annotations.NullMarked;
