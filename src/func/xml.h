/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/xml.h - XML text as a dynamic value
 *
 * An element is a member named by its tag. One with only text is that text, an empty one null;
 * attributes become members "@name", text beside them "#text", trimmed; elements of one name beside each
 * other an array. Comments, processing instructions and the document type are passed over; entities
 * other than the five of XML itself and numbers are not known. Depth is limited to DYN_DEPTH_MAX.
 */
#pragma once

#include "column/dyn.h"

#define XML_TEXT_MAX 1048576 /* bytes, as documented for parse_xml() */

/* False: it is too long or not well-formed, and what was added to out is of no use. */
bool xml_to_dyn(struct bytes text, struct buf *out);
