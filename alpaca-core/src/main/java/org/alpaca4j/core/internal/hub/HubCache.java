package org.alpaca4j.core.internal.hub;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * One repository's folder in the cache, laid out as Python's huggingface_hub does: {@code blobs}
 * holds contents by ETag, {@code snapshots/COMMIT} links to them by file name, and {@code refs}
 * holds the commit of each branch and tag that was asked for.
 */
final class HubCache {
  static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");

  private final Path cacheFolder;
  private final Path folder;
  private final RepositoryId id;
  private final boolean symbolicLinks;

  HubCache(HubSettings settings, RepositoryId id) {
    this.cacheFolder = settings.cacheFolder().toAbsolutePath().normalize();
    this.folder = cacheFolder.resolve(id.folderName());
    this.id = id;
    this.symbolicLinks = settings.symbolicLinks();
  }

  Path cacheFolder() {
    return cacheFolder;
  }

  Path snapshot(String commit) {
    return folder.resolve("snapshots").resolve(commit);
  }

  Path blob(String etag) {
    return folder.resolve("blobs").resolve(etag);
  }

  Path lockFile(String etag) {
    return cacheFolder.resolve(".locks").resolve(id.folderName()).resolve(etag + ".lock");
  }

  /** Returns the commit that a revision stood for when it was last fetched. */
  Optional<String> commit(String revision) throws IOException {
    if (COMMIT.matcher(revision).matches()) {
      return Optional.of(revision);
    }
    Path ref = folder.resolve("refs").resolve(revision);
    if (!Files.isRegularFile(ref)) {
      return Optional.empty();
    }
    String commit = Files.readString(ref).strip();
    return COMMIT.matcher(commit).matches() ? Optional.of(commit) : Optional.empty();
  }

  /** Notes which commit a branch or tag stands for. */
  void remember(String revision, String commit) throws IOException {
    if (revision.equals(commit) || commit(revision).filter(commit::equals).isPresent()) {
      return;
    }
    Path ref = folder.resolve("refs").resolve(revision);
    Path parent = Files.createDirectories(ref.resolveSibling(""));
    Path temporary = Files.createTempFile(parent, "ref", ".tmp");
    Files.writeString(temporary, commit);
    Files.move(temporary, ref, StandardCopyOption.REPLACE_EXISTING);
  }

  /** Puts a blob into a snapshot under its file name: as a link, or as a copy where none can be. */
  void link(String etag, Path file) throws IOException {
    Path blob = blob(etag);
    Path parent = Files.createDirectories(file.resolveSibling(""));
    if (Files.isSymbolicLink(file) && !Files.exists(file)) {
      Files.delete(file);
    }
    if (symbolicLinks) {
      try {
        Files.createSymbolicLink(file, parent.relativize(blob));
        return;
      } catch (FileAlreadyExistsException e) {
        return; // Another process has linked it meanwhile.
      } catch (IOException | UnsupportedOperationException e) {
        // Windows grants links to few: a copy serves as well.
      }
    }
    if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      Path copy = Files.createTempFile(parent, ".copy", ".incomplete");
      try {
        Files.copy(blob, copy, StandardCopyOption.REPLACE_EXISTING);
        Files.move(copy, file, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(copy);
      }
    }
  }
}
