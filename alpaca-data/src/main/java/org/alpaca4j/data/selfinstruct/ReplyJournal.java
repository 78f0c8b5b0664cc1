package org.alpaca4j.data.selfinstruct;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.alpaca4j.data.DataException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Every reply that was received, one JSON object per line, on the disk before anything is done with
 * it. The first line says what the requests depend on. Held by one process at a time.
 *
 * <p>All methods may be called by any thread.
 */
final class ReplyJournal implements AutoCloseable {
  static final String NAME = "replies.jsonl";
  private static final Logger log = LoggerFactory.getLogger(ReplyJournal.class);
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path file;
  private final FileChannel channel;
  private final Map<Long, ModelReply> replies = new HashMap<>();
  private @Nullable JsonNode header;

  private ReplyJournal(Path file, FileChannel channel) {
    this.file = file;
    this.channel = channel;
  }

  /**
   * Opens a folder's journal, an empty one if there is none.
   *
   * @throws DataException if it cannot be read, or another process has it
   */
  static ReplyJournal open(Path folder) {
    Path file = folder.resolve(NAME);
    FileChannel channel = null;
    try {
      Files.createDirectories(folder);
      channel =
          FileChannel.open(
              file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
      lock(channel, file);
      ReplyJournal journal = new ReplyJournal(file, channel);
      journal.read();
      return journal;
    } catch (IOException e) {
      close(channel);
      throw new DataException(file + ": cannot be opened: " + e, e);
    } catch (RuntimeException e) {
      close(channel);
      throw e;
    }
  }

  private static void lock(FileChannel channel, Path file) throws IOException {
    boolean locked;
    try {
      locked = channel.tryLock() != null;
    } catch (OverlappingFileLockException e) {
      locked = false;
    }
    if (!locked) {
      throw new DataException(
          file + ": another run is writing to this folder; let it end, or choose another one");
    }
  }

  private static void close(@Nullable FileChannel channel) {
    if (channel != null) {
      try {
        channel.close();
      } catch (IOException e) {
        log.debug("closing a journal", e);
      }
    }
  }

  private void read() throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    int start = 0;
    int line = 0;
    for (int i = 0; i < bytes.length; i++) {
      if (bytes[i] == '\n') {
        line++;
        read(new String(bytes, start, i - start, StandardCharsets.UTF_8), line);
        start = i + 1;
      }
    }
    if (start < bytes.length) { // the process died while it wrote: this reply was not saved
      log.info("{}: dropping {} bytes of an unfinished line", file, bytes.length - start);
      channel.truncate(start);
    }
    channel.position(start);
  }

  private void read(String text, int line) {
    try {
      JsonNode object = JSON.readTree(text);
      if (line == 1) {
        header = object;
        return;
      }
      JsonNode reason = object.path("finish_reason");
      ModelReply reply =
          new ModelReply(
              object.required("request").longValue(),
              object.required("text").textValue(),
              reason.isTextual() ? reason.textValue() : null,
              new TokenUsage(
                  object.required("prompt_tokens").longValue(),
                  object.required("completion_tokens").longValue()));
      replies.putIfAbsent(reply.request(), reply);
    } catch (JsonProcessingException | RuntimeException e) {
      throw new DataException(
          file
              + ", line "
              + line
              + ": is not a saved reply: "
              + e.getMessage()
              + "; remove the line to ask again, or choose another output folder",
          e);
    }
  }

  /** Returns what the requests depend on; empty in a new journal. */
  synchronized Optional<JsonNode> header() {
    return Optional.ofNullable(header);
  }

  /** Begins a new journal. */
  synchronized void begin(JsonNode newHeader) {
    append(newHeader);
    header = newHeader;
    Path folder = Objects.requireNonNull(file.toAbsolutePath().getParent());
    try (FileChannel directory = FileChannel.open(folder, StandardOpenOption.READ)) {
      directory.force(true); // the new file's name, too, must outlive a power cut
    } catch (IOException e) {
      log.debug("{}: Windows cannot force a folder, and need not", folder, e);
    }
  }

  /** Returns the reply to a request, if it was saved. */
  synchronized Optional<ModelReply> reply(long request) {
    return Optional.ofNullable(replies.get(request));
  }

  synchronized int size() {
    return replies.size();
  }

  /** Saves a reply: when this returns, it will be found again whatever happens. */
  synchronized void save(ModelReply reply) {
    if (replies.containsKey(reply.request())) {
      return;
    }
    ObjectNode line = JSON.createObjectNode();
    line.put("request", reply.request());
    line.put("text", reply.text());
    line.put("finish_reason", reply.finishReason());
    line.put("prompt_tokens", reply.usage().promptTokens());
    line.put("completion_tokens", reply.usage().completionTokens());
    append(line);
    replies.put(reply.request(), reply);
  }

  private void append(JsonNode line) {
    ByteBuffer bytes = ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8));
    try {
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      channel.force(true);
    } catch (IOException e) {
      throw new DataException(file + ": cannot be written: " + e, e);
    }
  }

  @Override
  public void close() {
    close(channel);
  }
}
