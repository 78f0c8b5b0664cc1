package org.alpaca4j.core.internal.hub;

import com.google.common.util.concurrent.ThreadFactoryBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.LongConsumer;
import org.alpaca4j.core.HubException;
import org.alpaca4j.core.HubListener;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One model repository: finds a revision's snapshot in the cache, and completes it by the hub. */
final class Repository {
  private static final Logger log = LoggerFactory.getLogger(Repository.class);
  private static final long EVENT_BYTES = 1 << 20;

  private final RepositoryId id;
  private final String revision;
  private final HubSettings settings;
  private final HubAccess.Options options;
  private final HubCache cache;

  Repository(RepositoryId id, String revision, HubSettings settings, HubAccess.Options options) {
    this.id = id;
    this.revision = revision;
    this.settings = settings;
    this.options = options;
    this.cache = new HubCache(settings, id);
  }

  /** Returns the snapshot's folder, with everything that is needed in it. */
  Path folder(boolean withWeights) throws IOException, InterruptedException {
    Optional<Path> cached = cached(withWeights);
    if (settings.offline()) {
      return cached.orElseThrow(() -> notCached(withWeights));
    }
    boolean pinned = HubCache.COMMIT.matcher(revision).matches();
    if (pinned && cached.isPresent() && ModelFiles.complete(cached.get(), withWeights)) {
      return cached.get();
    }
    HubHttp http = new HubHttp(settings, options.timeout());
    HubClient client = new HubClient(http, settings, id);
    HubClient.Listing listing;
    try {
      // With a snapshot to fall back on, one attempt tells enough.
      Retries retries = new Retries(cached.isPresent() ? 1 : options.attempts(), options.pause());
      listing =
          retries.run(
              "Looking up " + id + " at " + settings.endpoint(),
              () -> 0,
              () -> client.list(revision));
    } catch (HubException e) {
      if (cached.isPresent() && e.statusCode().orElse(0) != 404) {
        log.warn("{}: using the cached {} ({})", id, cached.get(), e.getMessage());
        return cached.get();
      }
      throw e;
    }
    Path snapshot = cache.snapshot(listing.commit());
    fetch(http, client, listing, ModelFiles.small(listing.files(), withWeights));
    if (withWeights) {
      fetch(http, client, listing, weights(snapshot, listing));
    }
    // Last, so that a branch never stands for a snapshot that lacks a file.
    try {
      cache.remember(revision, listing.commit());
    } catch (IOException e) {
      log.warn("{}: cannot note the commit of {} in the cache: {}", id, revision, e.toString());
    }
    return snapshot;
  }

  private Optional<Path> cached(boolean withWeights) throws IOException {
    Optional<Path> snapshot = cache.commit(revision).map(cache::snapshot);
    return snapshot.isPresent() && ModelFiles.suffices(snapshot.get(), withWeights)
        ? snapshot
        : Optional.empty();
  }

  private HubException notCached(boolean withWeights) {
    return new HubException(
        id
            + ", revision "
            + revision
            + ": not, or not wholly, in the cache "
            + cache.cacheFolder()
            + (withWeights ? " (config.json and weights)" : " (tokenizer.json)")
            + ", and HF_HUB_OFFLINE forbids to fetch it; unset it, or name a local folder");
  }

  private Set<String> weights(Path snapshot, HubClient.Listing listing) throws IOException {
    Set<String> weights = ModelFiles.weights(snapshot, listing.files()::contains);
    if (weights.isEmpty() || !listing.files().containsAll(weights)) {
      throw new HubException(
          id
              + ", revision "
              + revision
              + (weights.isEmpty() ? " has no weights" : " lacks weights that its index names")
              + ": expected model.safetensors or pytorch_model.bin, or an index and its shards;"
              + " found "
              + listing.files().stream().limit(20).toList());
    }
    return weights;
  }

  private void fetch(
      HubHttp http, HubClient client, HubClient.Listing listing, Collection<String> files)
      throws IOException, InterruptedException {
    Path snapshot = cache.snapshot(listing.commit());
    List<Callable<Boolean>> tasks = new ArrayList<>();
    for (String file : files) {
      if (!Files.exists(snapshot.resolve(file))) {
        tasks.add(() -> fetch(http, client, listing.commit(), file));
      }
    }
    if (!tasks.isEmpty()) {
      runAll(tasks);
    }
  }

  private boolean fetch(HubHttp http, HubClient client, String commit, String file)
      throws IOException, InterruptedException {
    Retries retries = new Retries(options.attempts(), options.pause());
    HubClient.FileInfo info =
        retries.run(
            "Looking up " + client.uri(commit, file), () -> 0, () -> client.info(commit, file));
    Path blob = cache.blob(info.etag());
    try (CacheLock lock = CacheLock.acquire(cache.lockFile(info.etag()))) {
      if (!Files.exists(blob)) {
        BlobDownload download = new BlobDownload(http, client, retries, options.usableSpace());
        download.run(commit, file, info, blob, progress(file, info.size()));
      }
      cache.link(info.etag(), cache.snapshot(commit).resolve(file));
    }
    return true;
  }

  private LongConsumer progress(String file, long size) {
    return new LongConsumer() {
      private long next;

      @Override
      public void accept(long bytes) {
        if (bytes >= next || bytes == size) {
          next = bytes + EVENT_BYTES;
          options.listener().progressed(new HubListener.Download(id.toString(), file, bytes, size));
        }
      }
    };
  }

  /** Runs tasks side by side; the first to fail ends the others. */
  private void runAll(List<Callable<Boolean>> tasks) throws IOException, InterruptedException {
    ExecutorService threads =
        Executors.newFixedThreadPool(
            Math.min(options.connections(), tasks.size()),
            new ThreadFactoryBuilder().setNameFormat("alpaca4j-hub").setDaemon(true).build());
    try {
      CompletionService<Boolean> running = new ExecutorCompletionService<>(threads);
      tasks.forEach(running::submit);
      for (int i = 0; i < tasks.size(); i++) {
        var unused = running.take().get();
      }
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw e.getCause() instanceof IOException cause ? cause : new IOException(e.getCause());
    } finally {
      threads.shutdownNow();
      var unused = threads.awaitTermination(1, TimeUnit.MINUTES);
    }
  }
}
