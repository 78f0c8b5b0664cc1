package org.alpaca4j.core.internal.pickle;

import java.util.List;

/**
 * A Python tuple. As with every container of a pickle, its values may be shared or contain it: do
 * not compare, hash or print it.
 *
 * @param items its values, unmodifiable
 */
public record PickleTuple(List<Object> items) {}
