package org.alpaca4j.core;

import java.net.URI;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.ToLongFunction;
import java.util.regex.Pattern;
import org.alpaca4j.core.internal.hub.HubAccess;
import org.alpaca4j.core.internal.hub.HubSettings;
import org.alpaca4j.core.internal.hub.RepositoryId;
import org.jspecify.annotations.Nullable;

/**
 * Models of the Hugging Face hub, fetched by name and kept in the cache that Python's
 * huggingface_hub keeps: what either has downloaded, the other finds.
 *
 * <pre>{@code
 * Path folder = ModelHub.ofDefaults().folder("Qwen/Qwen2.5-0.5B");
 * }</pre>
 *
 * <p>Only files that this library reads are fetched: configuration, tokenizer, chat templates, and
 * the weights in one format, safetensors before {@code .bin}. Several files are fetched at once; a
 * download that is cut off goes on where it ended, at once or in the next run. Every file is
 * checked against the checksum that the hub gives (SHA-256, or git's SHA-1 for small files) before
 * it gets its name. The token is sent to the endpoint only, never to where it redirects, and is in
 * no log and no exception.
 *
 * <p>While the hub cannot be reached, or refuses, a cached snapshot is used with a warning. A
 * revision given as a commit is taken from the cache without asking.
 *
 * <p>Thread-safe; several threads and processes may fetch the same model at once.
 */
public final class ModelHub {
  private static final Pattern REVISION =
      Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*");

  private final HubSettings settings;
  private final HubAccess.Options options;
  private final String revision;

  private ModelHub(HubSettings settings, HubAccess.Options options, String revision) {
    this.settings = settings;
    this.options = options;
    this.revision = revision;
  }

  /**
   * Returns the hub as the environment describes it, by the variables of huggingface_hub: {@code
   * HF_HUB_CACHE}, {@code HF_HOME}, {@code HF_ENDPOINT}, {@code HF_TOKEN}, {@code HF_TOKEN_PATH},
   * {@code HF_HUB_OFFLINE}, {@code HF_HUB_DISABLE_SYMLINKS}.
   */
  public static ModelHub ofDefaults() {
    return builder().build();
  }

  /** Returns a builder whose defaults come from the environment, as in {@link #ofDefaults}. */
  public static Builder builder() {
    return builder(System.getenv(), Path.of(System.getProperty("user.home", "")));
  }

  /** Returns a builder whose defaults come from the variables given. */
  static Builder builder(Map<String, String> environment, Path home) {
    return new Builder(HubSettings.of(environment, home));
  }

  /**
   * Returns the folder of a model, complete for {@link CausalLm#load(Path)}: from the cache, or
   * downloaded.
   *
   * @param id the repository's name, {@code org/name}
   * @throws IllegalArgumentException if that is no such name
   * @throws HubException if the model does not exist, may not be read or cannot be fetched
   */
  public Path folder(String id) {
    Objects.requireNonNull(id, "id is null");
    return HubAccess.folder(parse(id), revision, true, settings, options);
  }

  /**
   * Returns the folder of a model's tokenizer, complete for {@link Tokenizer#load(Path)}. No
   * weights are fetched.
   *
   * @param id the repository's name, {@code org/name}
   * @throws IllegalArgumentException if that is no such name
   * @throws HubException if the model does not exist, may not be read or cannot be fetched
   */
  public Path tokenizerFolder(String id) {
    Objects.requireNonNull(id, "id is null");
    return HubAccess.folder(parse(id), revision, false, settings, options);
  }

  /** Returns the path that a text names, if something is there; else the model's folder. */
  static Path resolve(String pathOrId) {
    return existing(pathOrId).orElseGet(() -> ofDefaults().folder(pathOrId));
  }

  /** As {@link #resolve}, for the tokenizer only. */
  static Path resolveTokenizer(String pathOrId) {
    return existing(pathOrId).orElseGet(() -> ofDefaults().tokenizerFolder(pathOrId));
  }

  private static Optional<Path> existing(String pathOrId) {
    try {
      Path path = Path.of(pathOrId);
      return Files.exists(path) ? Optional.of(path) : Optional.empty();
    } catch (InvalidPathException e) {
      return Optional.empty();
    }
  }

  private static RepositoryId parse(String id) {
    return RepositoryId.parse(id)
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "'"
                        + id
                        + "' is neither a path that exists nor a model's name on the hub, which is"
                        + " like Qwen/Qwen2.5-0.5B"));
  }

  /** Where the hub is and how to download from it; not thread-safe. */
  public static final class Builder {
    private Path cacheFolder;
    private URI endpoint;
    private @Nullable String token;
    private boolean offline;
    private final boolean symbolicLinks;
    private String revision = "main";
    private int connections = 4;
    private int attempts = 5;
    private Duration timeout = Duration.ofSeconds(30);
    private HubAccess.Pause pause = duration -> Thread.sleep(duration.toMillis());
    private ToLongFunction<Path> usableSpace = HubAccess::usableSpace;
    private HubListener listener = download -> {};

    private Builder(HubSettings defaults) {
      cacheFolder = defaults.cacheFolder();
      endpoint = defaults.endpoint();
      token = defaults.token();
      offline = defaults.offline();
      symbolicLinks = defaults.symbolicLinks();
    }

    /**
     * Sets the folder of the cache; default: the environment's, {@code ~/.cache/huggingface/hub}.
     */
    public Builder cacheFolder(Path value) {
      cacheFolder = Objects.requireNonNull(value, "cacheFolder is null");
      return this;
    }

    /**
     * Sets the hub's address, such as a mirror's; default: the environment's, {@code
     * https://huggingface.co}.
     *
     * @throws IllegalArgumentException if it is not the URL of a server
     */
    public Builder endpoint(String value) {
      Objects.requireNonNull(value, "endpoint is null");
      endpoint = HubSettings.endpoint(value);
      return this;
    }

    /**
     * Sets the token to read private and gated models with; empty for none. Default: the
     * environment's.
     *
     * @throws IllegalArgumentException if it holds blanks or control characters
     */
    public Builder token(String value) {
      Objects.requireNonNull(value, "token is null");
      token = HubSettings.token(value);
      return this;
    }

    /** Sets whether to use the cache only and never connect; default: the environment's, false. */
    public Builder offline(boolean value) {
      offline = value;
      return this;
    }

    /** Sets the branch, tag or commit to read; default: {@code main}. */
    public Builder revision(String value) {
      revision = Objects.requireNonNull(value, "revision is null");
      return this;
    }

    /** Sets how many files to fetch at once; default: 4. */
    public Builder connections(int value) {
      connections = value;
      return this;
    }

    /** Sets how often in a row a request may fail without getting any further; default: 5. */
    public Builder attempts(int value) {
      attempts = value;
      return this;
    }

    /**
     * Sets how long to wait for each next byte, and for a connection, but for that no more than 5
     * seconds; default: 30 seconds. A host that cannot be reached is tried twice.
     */
    public Builder timeout(Duration value) {
      timeout = Objects.requireNonNull(value, "timeout is null");
      return this;
    }

    /** Sets who hears how downloads go on; default: nobody. */
    public Builder listener(HubListener value) {
      listener = Objects.requireNonNull(value, "listener is null");
      return this;
    }

    Builder pause(HubAccess.Pause value) {
      pause = value;
      return this;
    }

    Builder usableSpace(ToLongFunction<Path> value) {
      usableSpace = value;
      return this;
    }

    /**
     * Returns the hub.
     *
     * @throws IllegalArgumentException if a number is not positive or the revision is not one
     */
    public ModelHub build() {
      require(connections > 0, "connections must be positive, found " + connections);
      require(attempts > 0, "attempts must be positive, found " + attempts);
      require(timeout.toMillis() > 0, "timeout must be a millisecond or more, found " + timeout);
      // It becomes a path of the cache.
      require(
          REVISION.matcher(revision).matches() && !revision.contains(".."),
          "revision must be a branch, a tag or a commit, found '" + revision + "'");
      HubListener outer = listener;
      Object turn = new Object();
      HubListener oneAtATime =
          download -> {
            synchronized (turn) {
              outer.progressed(download);
            }
          };
      return new ModelHub(
          new HubSettings(cacheFolder, endpoint, token, offline, symbolicLinks),
          new HubAccess.Options(connections, attempts, timeout, pause, usableSpace, oneAtATime),
          revision);
    }

    private static void require(boolean condition, String message) {
      if (!condition) {
        throw new IllegalArgumentException(message);
      }
    }
  }
}
