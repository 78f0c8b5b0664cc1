package org.alpaca4j.core.internal.hub;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.alpaca4j.core.HubException;
import org.jspecify.annotations.Nullable;

/**
 * Where the hub and its cache are, and who asks.
 *
 * @param cacheFolder holds {@code models--org--name} folders
 * @param endpoint scheme, host and perhaps a port and path, without a slash at the end
 * @param token sent to the endpoint only, or null
 * @param offline whether no connection may be made
 * @param symbolicLinks whether snapshots may link to blobs
 */
public record HubSettings(
    Path cacheFolder,
    URI endpoint,
    @Nullable String token,
    boolean offline,
    boolean symbolicLinks) {
  private static final String ENDPOINT = "https://huggingface.co";
  private static final Set<String> TRUE = Set.of("1", "ON", "YES", "TRUE");

  /**
   * Reads the variables that Python's huggingface_hub reads.
   *
   * @param environment the process's variables
   * @param home the user's home folder
   */
  public static HubSettings of(Map<String, String> environment, Path home) {
    Path hubHome = path(environment, home, "HF_HOME");
    if (hubHome == null) {
      Path caches = path(environment, home, "XDG_CACHE_HOME");
      hubHome = (caches == null ? home.resolve(".cache") : caches).resolve("huggingface");
    }
    Path cache = path(environment, home, "HF_HUB_CACHE");
    if (cache == null) {
      cache = path(environment, home, "HUGGINGFACE_HUB_CACHE");
    }
    String endpoint = environment.getOrDefault("HF_ENDPOINT", "");
    return new HubSettings(
        cache == null ? hubHome.resolve("hub") : cache,
        endpoint(endpoint.isBlank() ? ENDPOINT : endpoint),
        token(environment, home, hubHome),
        isTrue(environment, "HF_HUB_OFFLINE") || isTrue(environment, "TRANSFORMERS_OFFLINE"),
        !isTrue(environment, "HF_HUB_DISABLE_SYMLINKS"));
  }

  /** Returns a checked endpoint, without a slash at its end. */
  public static URI endpoint(String text) {
    String trimmed = text.strip().replaceAll("/+$", "");
    URI uri;
    try {
      uri = URI.create(trimmed);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("The hub's endpoint is not a URL: " + e.getMessage(), e);
    }
    boolean web = "https".equals(uri.getScheme()) || "http".equals(uri.getScheme());
    if (!web || uri.getHost() == null) {
      throw new IllegalArgumentException(
          "The hub's endpoint must be like https://huggingface.co; found " + trimmed);
    }
    if (uri.getRawUserInfo() != null || uri.getRawQuery() != null || uri.getFragment() != null) {
      // Not quoted: what stands there may be a password.
      throw new IllegalArgumentException(
          "The hub's endpoint at "
              + uri.getHost()
              + " must have no user, query or fragment; give the token by HF_TOKEN");
    }
    return uri;
  }

  /** Returns a checked token, or null if it is blank. Never quotes it. */
  public static @Nullable String token(String text) {
    String token = text.strip();
    if (!token.chars().allMatch(c -> c > ' ' && c < 127)) {
      throw new IllegalArgumentException(
          "The hub's token holds blanks or characters that no token has; copy it again from the"
              + " hub's settings");
    }
    return token.isEmpty() ? null : token;
  }

  private static @Nullable String token(Map<String, String> environment, Path home, Path hubHome) {
    if (isTrue(environment, "HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
      return null;
    }
    for (String name : new String[] {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
      String token = token(environment.getOrDefault(name, ""));
      if (token != null) {
        return token;
      }
    }
    Path file = path(environment, home, "HF_TOKEN_PATH");
    file = file == null ? hubHome.resolve("token") : file;
    try {
      return Files.isRegularFile(file) ? token(Files.readString(file)) : null;
    } catch (IOException e) {
      throw new HubException("Cannot read the hub's token from " + file + ": " + e, e);
    }
  }

  private static @Nullable Path path(Map<String, String> environment, Path home, String name) {
    String text = environment.getOrDefault(name, "");
    if (text.isBlank()) {
      return null;
    }
    return text.equals("~") || text.startsWith("~/")
        ? home.resolve(text.substring(Math.min(2, text.length())))
        : Path.of(text);
  }

  private static boolean isTrue(Map<String, String> environment, String name) {
    return TRUE.contains(environment.getOrDefault(name, "").toUpperCase(Locale.ROOT));
  }

  /** Does not show the token. */
  @Override
  public String toString() {
    return "HubSettings[cacheFolder=" + cacheFolder + ", endpoint=" + endpoint + "]";
  }
}
