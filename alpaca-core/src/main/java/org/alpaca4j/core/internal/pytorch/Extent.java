package org.alpaca4j.core.internal.pytorch;

/**
 * The bytes of a storage or of another entry in a file; its place is checked against the file.
 *
 * @param name of the zip entry, or the storage's key
 * @param deflated whether its bytes are compressed
 * @param crc32 of its uncompressed bytes, as claimed; not set in the older format
 * @param offset of its first byte in the file
 * @param storedBytes how many bytes it takes in the file
 * @param bytes how many it has, as claimed where it is compressed
 */
public record Extent(
    String name, boolean deflated, long crc32, long offset, long storedBytes, long bytes) {}
