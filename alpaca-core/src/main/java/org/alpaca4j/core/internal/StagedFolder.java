package org.alpaca4j.core.internal;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import org.alpaca4j.core.CheckpointException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A folder, or a single file, that appears under its name whole or not at all. It is filled as the
 * hidden sibling folder {@code .NAME.tmp-ID}, and {@link #publish} renames it; a folder already
 * there is first renamed to {@code .NAME.old-ID} and deleted at the end. A process killed in
 * between leaves siblings that {@link #open} recognises, restores or removes. The lock file {@code
 * .NAME.tmp-ID.lock} tells a write in progress from a leftover.
 */
public final class StagedFolder implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(StagedFolder.class);
  private static final Set<Path> LIVE = ConcurrentHashMap.newKeySet();
  private static final String LOCK = ".lock";

  private final Path target;
  private final Path folder;
  private final Path lockFile;
  private final @Nullable FileChannel lock;

  private StagedFolder(Path target, Path folder, Path lockFile, @Nullable FileChannel lock) {
    this.target = target;
    this.folder = folder;
    this.lockFile = lockFile;
    this.lock = lock;
  }

  /**
   * Makes an empty staging folder for {@code target}, and first clears what killed writes left.
   *
   * @param target absolute; its parents are made
   */
  public static StagedFolder open(Path target) throws IOException {
    Path parent = parent(target);
    Files.createDirectories(parent);
    clearLeftovers(target);
    Path folder = sibling(target, "tmp");
    Path lockFile = folder.resolveSibling(folder.getFileName() + LOCK);
    LIVE.add(folder);
    FileChannel lock = null;
    boolean made = false;
    try {
      lock = FileChannel.open(lockFile, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
      tryLock(lock);
      Files.createDirectory(folder);
      made = true;
      return new StagedFolder(target, folder, lockFile, lock);
    } finally {
      if (!made) {
        release(folder, lockFile, lock);
      }
    }
  }

  /** Returns the folder to fill. */
  public Path folder() {
    return folder;
  }

  /** Forces the content to the disk, and puts the folder in place of the target. */
  public void publish() throws IOException {
    forceTree(folder);
    if (Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
      Path aside = sibling(target, "old");
      Files.move(target, aside, StandardCopyOption.ATOMIC_MOVE);
      try {
        Files.move(folder, target, StandardCopyOption.ATOMIC_MOVE);
      } catch (IOException e) {
        Files.move(aside, target, StandardCopyOption.ATOMIC_MOVE);
        throw e;
      }
      force(parent(target));
      deleteOrWarn(aside);
    } else {
      Files.move(folder, target, StandardCopyOption.ATOMIC_MOVE);
      force(parent(target));
    }
  }

  /**
   * Forces the content to the disk, and puts one file of the folder in place of the target: of what
   * is there now, if it is a file.
   *
   * @param name of the file in the folder
   */
  public void publishFile(String name) throws IOException {
    forceTree(folder);
    Files.move(folder.resolve(name), target, StandardCopyOption.ATOMIC_MOVE);
    force(parent(target));
  }

  /** Deletes what was not published. */
  @Override
  public void close() {
    deleteOrWarn(folder);
    release(folder, lockFile, lock);
  }

  private static void release(Path folder, Path lockFile, @Nullable FileChannel lock) {
    try {
      if (lock != null) {
        lock.close();
        Files.deleteIfExists(lockFile);
      }
    } catch (IOException e) {
      LOG.warn("Cannot remove {}: {}", lockFile, e.toString());
    } finally {
      LIVE.remove(folder);
    }
  }

  /** Returns the newest earlier version of {@code target} that a killed write left aside. */
  public static Optional<Path> findAside(Path target) {
    Path newest = null;
    try {
      for (Path old : siblings(target, "old")) {
        if (newest == null
            || Files.getLastModifiedTime(old).compareTo(Files.getLastModifiedTime(newest)) > 0) {
          newest = old;
        }
      }
    } catch (IOException e) {
      return Optional.empty();
    }
    return Optional.ofNullable(newest);
  }

  private static void clearLeftovers(Path target) throws IOException {
    if (!Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
      Optional<Path> aside = findAside(target);
      if (aside.isPresent()) {
        LOG.info("Restoring {} from {}, left by a write that was killed", target, aside.get());
        Files.move(aside.get(), target, StandardCopyOption.ATOMIC_MOVE);
      }
    }
    for (Path old : siblings(target, "old")) {
      deleteOrWarn(old);
    }
    for (Path leftover : siblings(target, "tmp")) {
      if (isAbandoned(leftover)) {
        LOG.info("Removing {}, left by a write that was killed", leftover);
        deleteOrWarn(leftover);
        Files.deleteIfExists(leftover.resolveSibling(leftover.getFileName() + LOCK));
      }
    }
  }

  private static boolean isAbandoned(Path folder) {
    if (LIVE.contains(folder)) {
      return false;
    }
    Path lockFile = folder.resolveSibling(folder.getFileName() + LOCK);
    try (FileChannel channel = FileChannel.open(lockFile, StandardOpenOption.WRITE)) {
      return tryLock(channel);
    } catch (NoSuchFileException e) {
      return true;
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

  private static Path sibling(Path target, String kind) {
    String id = UUID.randomUUID().toString().replace("-", "").substring(0, 16);
    return target.resolveSibling("." + target.getFileName() + "." + kind + "-" + id);
  }

  /** Returns the folders that {@link #sibling} may have named. */
  private static List<Path> siblings(Path target, String kind) throws IOException {
    Pattern name =
        Pattern.compile(
            Pattern.quote("." + target.getFileName() + "." + kind + "-") + "[0-9a-f]{16}");
    List<Path> found = new ArrayList<>();
    Path parent = parent(target);
    if (!Files.isDirectory(parent)) {
      return found;
    }
    try (DirectoryStream<Path> files =
        Files.newDirectoryStream(
            parent, file -> name.matcher(String.valueOf(file.getFileName())).matches())) {
      for (Path file : files) {
        if (Files.isDirectory(file, LinkOption.NOFOLLOW_LINKS)) {
          found.add(file);
        }
      }
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    return found;
  }

  private static Path parent(Path target) {
    Path parent = target.getParent();
    if (parent == null) {
      throw new CheckpointException("Cannot write " + target + ": it is a root");
    }
    return parent;
  }

  private static void deleteOrWarn(Path folder) {
    try {
      deleteTree(folder);
    } catch (IOException | UncheckedIOException e) {
      LOG.warn("Cannot remove {}: {}; remove it by hand", folder, e.toString());
    }
  }

  private static void deleteTree(Path folder) throws IOException {
    if (Files.isSymbolicLink(folder) || !Files.exists(folder)) {
      Files.deleteIfExists(folder);
      return;
    }
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path visited, @Nullable IOException failure)
              throws IOException {
            if (failure != null) {
              throw failure;
            }
            Files.delete(visited);
            return FileVisitResult.CONTINUE;
          }
        });
  }

  private static void forceTree(Path folder) throws IOException {
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            if (attributes.isRegularFile()) {
              force(file);
            }
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path visited, @Nullable IOException failure)
              throws IOException {
            force(visited);
            return FileVisitResult.CONTINUE;
          }
        });
  }

  private static void force(Path path) throws IOException {
    boolean windows = System.getProperty("os.name", "").toLowerCase(Locale.ROOT).contains("win");
    if (windows && Files.isDirectory(path)) {
      return; // Windows can neither open nor force a folder; its renames are journaled.
    }
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }
}
