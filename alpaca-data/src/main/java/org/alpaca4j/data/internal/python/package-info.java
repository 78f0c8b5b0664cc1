/** A parser of Python 3.11 source that finds the calls in it. Nothing is ever executed. */
@NullMarked
package org.alpaca4j.data.internal.python;

import org.jspecify.annotations.NullMarked;
