package org.alpaca4j.core.internal.hub;

import java.util.Optional;
import java.util.regex.Pattern;

/**
 * A repository's name on the hub.
 *
 * @param organisation a user or an organisation
 * @param name the repository's name within it
 */
public record RepositoryId(String organisation, String name) {
  // The hub's own rules: they also keep "..", separators and empty parts out of paths.
  private static final Pattern PART = Pattern.compile("[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?");
  private static final int MAX_LENGTH = 96;

  /** Returns the name that a text of the form {@code org/name} is, if it is one. */
  public static Optional<RepositoryId> parse(String text) {
    int slash = text.indexOf('/');
    if (slash < 0 || text.length() > MAX_LENGTH) {
      return Optional.empty();
    }
    String organisation = text.substring(0, slash);
    String name = text.substring(slash + 1);
    boolean valid =
        PART.matcher(organisation).matches()
            && PART.matcher(name).matches()
            && !text.contains("--")
            && !text.contains("..")
            && !name.endsWith(".git");
    return valid ? Optional.of(new RepositoryId(organisation, name)) : Optional.empty();
  }

  /** Returns the name of its folder in the cache. */
  String folderName() {
    return "models--" + organisation + "--" + name;
  }

  /** Returns {@code org/name}. */
  @Override
  public String toString() {
    return organisation + "/" + name;
  }
}
