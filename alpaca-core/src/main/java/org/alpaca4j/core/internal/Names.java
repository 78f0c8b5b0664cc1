package org.alpaca4j.core.internal;

import java.util.Collection;
import java.util.stream.Collectors;

/** Names of tensors or files in messages. */
public final class Names {
  private static final int LISTED = 20;

  private Names() {}

  /** Returns the first names, and how many more there are. */
  public static String abbreviate(Collection<String> names) {
    String first = names.stream().limit(LISTED).collect(Collectors.joining(", "));
    return names.size() <= LISTED ? first : first + " and " + (names.size() - LISTED) + " more";
  }
}
