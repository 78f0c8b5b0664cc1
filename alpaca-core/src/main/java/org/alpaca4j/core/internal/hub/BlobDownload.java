package org.alpaca4j.core.internal.hub;

import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;
import java.util.function.ToLongFunction;
import org.alpaca4j.core.HubException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Downloads one file's content: to {@code blobs/ETAG.incomplete}, which the next run goes on with
 * if this one is cut off, and to {@code blobs/ETAG} once size and checksum are right.
 */
final class BlobDownload {
  private static final Logger log = LoggerFactory.getLogger(BlobDownload.class);

  private final HubHttp http;
  private final HubClient client;
  private final Retries retries;
  private final ToLongFunction<Path> usableSpace;

  BlobDownload(HubHttp http, HubClient client, Retries retries, ToLongFunction<Path> usableSpace) {
    this.http = http;
    this.client = client;
    this.retries = retries;
    this.usableSpace = usableSpace;
  }

  /**
   * Downloads a file unless its blob is there. The caller holds the blob's lock.
   *
   * @param progress told how many bytes are on disk
   */
  void run(String commit, String file, HubClient.FileInfo info, Path blob, LongConsumer progress)
      throws IOException, InterruptedException {
    Files.createDirectories(blob.resolveSibling(""));
    Path incomplete = blob.resolveSibling(info.etag() + ".incomplete");
    boolean resumed = Files.isRegularFile(incomplete) && Files.size(incomplete) > 0;
    receive(commit, file, info, incomplete, progress);
    if (resumed && !isWhole(incomplete, info)) {
      log.warn("{}: what an earlier download left is damaged; starting anew", incomplete);
      Files.delete(incomplete);
      receive(commit, file, info, incomplete, progress);
    }
    if (!isWhole(incomplete, info)) {
      long size = Files.size(incomplete);
      String found = Checksum.isKnown(info.etag()) ? Checksum.of(incomplete, info.etag()) : "";
      Files.delete(incomplete);
      throw new HubException(
          client.uri(commit, file)
              + " came damaged: expected "
              + describe(info.size(), info.etag())
              + ", received "
              + describe(size, found)
              + ". Nothing of it was kept; try again, or use another HF_ENDPOINT");
    }
    Files.move(incomplete, blob, StandardCopyOption.ATOMIC_MOVE);
  }

  private static String describe(long size, String checksum) {
    return (size < 0 ? "any" : size) + " bytes with checksum " + checksum;
  }

  private static boolean isWhole(Path file, HubClient.FileInfo info) throws IOException {
    boolean sized = info.size() < 0 || info.size() == Files.size(file);
    return sized
        && (!Checksum.isKnown(info.etag()) || Checksum.of(file, info.etag()).equals(info.etag()));
  }

  private void receive(
      String commit, String file, HubClient.FileInfo info, Path incomplete, LongConsumer progress)
      throws IOException, InterruptedException {
    try (FileChannel channel =
        FileChannel.open(incomplete, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      if (info.size() >= 0 && channel.size() > info.size()) {
        channel.truncate(0);
      }
      requireSpace(info.size() - channel.size(), incomplete);
      progress.accept(channel.size());
      AtomicLong received = new AtomicLong();
      retries.run(
          "Downloading " + client.uri(commit, file),
          received::get,
          () -> {
            if (channel.size() != info.size()) {
              attempt(commit, file, info, channel, received, progress);
            }
            return true;
          });
      channel.force(true);
    } catch (FileReceiver.DiskException e) {
      throw new HubException(
          "Cannot write " + incomplete + ": " + e.getCause() + "; is the disk full?", e);
    }
  }

  private void attempt(
      String commit,
      String file,
      HubClient.FileInfo info,
      FileChannel channel,
      AtomicLong received,
      LongConsumer progress)
      throws IOException, InterruptedException {
    FileReceiver receiver = new FileReceiver(channel, progress);
    long begin = channel.size();
    Map<String, String> range = begin == 0 ? Map.of() : Map.of("Range", "bytes=" + begin + "-");
    try {
      HttpResponse<Void> response =
          http.send(
              "GET",
              client.uri(commit, file),
              range,
              receiver,
              receiver::received,
              answer -> false);
      if (response.statusCode() == 416) {
        channel.truncate(0);
        throw new IOException("the hub has not the range that was asked for");
      }
      client.requireSuccess(response, file);
    } finally {
      receiver.stop();
      received.addAndGet(receiver.received());
    }
    if (info.size() >= 0 && channel.size() < info.size()) {
      throw new IOException("the body ended after " + channel.size() + " bytes");
    }
  }

  private void requireSpace(long bytes, Path incomplete) {
    long usable = usableSpace.applyAsLong(incomplete);
    if (bytes > usable) {
      throw new HubException(
          "The disk is too full for "
              + incomplete
              + ": "
              + bytes
              + " bytes are to come, "
              + usable
              + " are free; make room, or set HF_HUB_CACHE to a folder on another disk");
    }
  }
}
