package org.alpaca4j.core;

/** Hears how a download goes on. Called by several threads, but never by two at once. */
@FunctionalInterface
public interface HubListener {
  /**
   * One file being downloaded.
   *
   * @param repository the repository, {@code org/name}
   * @param file its name there
   * @param receivedBytes how much of it is on disk, what earlier attempts left included
   * @param totalBytes its size, or -1 while that is unknown
   */
  record Download(String repository, String file, long receivedBytes, long totalBytes) {}

  /**
   * Called when a file's download begins, after each MiB, and when it is complete.
   *
   * @param download how far it has come
   */
  void progressed(Download download);
}
