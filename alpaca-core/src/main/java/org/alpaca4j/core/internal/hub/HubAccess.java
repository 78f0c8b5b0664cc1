package org.alpaca4j.core.internal.hub;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.ToLongFunction;
import org.alpaca4j.core.HubException;
import org.alpaca4j.core.HubListener;

/** The way into this package: from a name to a folder. */
public final class HubAccess {
  private HubAccess() {}

  /** Waits between attempts. */
  @FunctionalInterface
  public interface Pause {
    /** Waits for a while. */
    void await(Duration duration) throws InterruptedException;
  }

  /**
   * How to download.
   *
   * @param connections how many files to fetch at once
   * @param attempts how often in a row one may fail without getting further
   * @param timeout how long to wait for each next byte
   * @param pause waits between attempts
   * @param usableSpace how many bytes the disk of a file takes
   * @param listener hears how it goes on
   */
  public record Options(
      int connections,
      int attempts,
      Duration timeout,
      Pause pause,
      ToLongFunction<Path> usableSpace,
      HubListener listener) {}

  /** Returns how many bytes the disk of a file takes, as far as it tells. */
  public static long usableSpace(Path file) {
    try {
      return Files.getFileStore(file).getUsableSpace();
    } catch (IOException e) {
      return Long.MAX_VALUE; // Then writing will tell.
    }
  }

  /**
   * Returns a snapshot's folder, downloading what is not in the cache.
   *
   * @param revision a branch, a tag or a commit
   * @param withWeights whether the model is wanted, and not only its tokenizer
   */
  public static Path folder(
      RepositoryId id,
      String revision,
      boolean withWeights,
      HubSettings settings,
      Options options) {
    try {
      return new Repository(id, revision, settings, options).folder(withWeights);
    } catch (IOException e) {
      throw new HubException(
          id + ": cannot read or write the cache " + settings.cacheFolder() + ": " + e, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new HubException(
          id + ": interrupted; what has come so far is kept, and the next call goes on from there",
          e);
    }
  }
}
