package org.alpaca4j.weights;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Locale;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.alpaca4j.core.CheckpointException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A file that appears under its name whole or not at all: it is written as the hidden sibling
 * {@code .NAME.tmp-ID}, forced to the disk and renamed. What a killed process left is removed by
 * the next write to the same name; a lock tells it from a write in progress.
 */
final class StagedFile implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(StagedFile.class);

  /** Closing a second channel of a file would give up this process's lock on it. */
  private static final Set<Path> LIVE = ConcurrentHashMap.newKeySet();

  private final Path target;
  private final Path file;
  private final FileChannel channel;

  private StagedFile(Path target, Path file, FileChannel channel) {
    this.target = target;
    this.file = file;
    this.channel = channel;
  }

  /**
   * Makes the sibling; missing parents are made too.
   *
   * @throws CheckpointException if the target exists and may not be replaced
   */
  static StagedFile open(Path path, boolean replace) throws IOException {
    Path target = path.toAbsolutePath().normalize();
    Path parent = target.getParent();
    if (parent == null || Files.isDirectory(target)) {
      throw new CheckpointException("Cannot write " + target + ": it is a folder");
    }
    if (!replace && Files.exists(target)) {
      throw new CheckpointException(
          "Cannot write "
              + target
              + ": it exists; choose another name, or set replaceExisting(true)");
    }
    Files.createDirectories(parent);
    String prefix = "." + target.getFileName() + ".tmp-";
    removeLeftovers(parent, prefix);
    Path file = parent.resolve(prefix + UUID.randomUUID().toString().replace("-", ""));
    FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    LIVE.add(file);
    tryLock(channel);
    return new StagedFile(target, file, channel);
  }

  private static void removeLeftovers(Path parent, String prefix) throws IOException {
    try (DirectoryStream<Path> siblings =
        Files.newDirectoryStream(
            parent, sibling -> String.valueOf(sibling.getFileName()).startsWith(prefix))) {
      for (Path sibling : siblings) {
        String id = String.valueOf(sibling.getFileName()).substring(prefix.length());
        if (id.matches("[0-9a-f]{32}") && isAbandoned(sibling)) {
          LOG.info("Removing {}, left by a write that was killed", sibling);
          Files.deleteIfExists(sibling);
        }
      }
    }
  }

  private static boolean isAbandoned(Path sibling) {
    if (LIVE.contains(sibling)) {
      return false;
    }
    try (FileChannel channel = FileChannel.open(sibling, StandardOpenOption.WRITE)) {
      return tryLock(channel);
    } catch (IOException e) {
      return false;
    }
  }

  /** Returns whether the lock was free; where the file system has no locks, it never is. */
  private static boolean tryLock(FileChannel channel) {
    try {
      FileLock lock = channel.tryLock();
      return lock != null;
    } catch (IOException | OverlappingFileLockException e) {
      return false;
    }
  }

  /** Returns where to write. */
  FileChannel channel() {
    return channel;
  }

  /** Forces the content to the disk, and puts the file in place of the target. */
  void publish() throws IOException {
    channel.force(true);
    Files.move(file, target, StandardCopyOption.ATOMIC_MOVE);
    forceFolder(target.getParent());
  }

  private static void forceFolder(@Nullable Path folder) throws IOException {
    boolean windows = System.getProperty("os.name", "").toLowerCase(Locale.ROOT).contains("win");
    if (folder == null || windows) {
      return; // Windows can neither open nor force a folder; its renames are journaled.
    }
    try (FileChannel opened = FileChannel.open(folder, StandardOpenOption.READ)) {
      opened.force(true);
    }
  }

  /** Deletes the file unless it was published. */
  @Override
  public void close() throws IOException {
    try {
      channel.close();
      Files.deleteIfExists(file);
    } finally {
      LIVE.remove(file);
    }
  }
}
